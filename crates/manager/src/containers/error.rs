//! What goes wrong with containers.

use std::path::PathBuf;

use creel_base::hint::Hint;
use creel_base::id::{NameError, RandomError, SHORT};
use creel_base::lock::LockError;
use creel_base::path::PathError;

use crate::EngineError;

/// How many of several ids are named.
const SHOWN: usize = 8;

/// Why the containers of a store cannot be listed, found, made or removed.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// There is no run directory that can be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file operation failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A lock was not taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No id could be made.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A file of a container does not hold what it should.
    #[error("container file `{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A container was made by a newer program.
    #[error("container `{id}` has the form {found}, newer than the {known} known here")]
    Newer {
        /// The container.
        id: String,
        /// Its form.
        found: u32,
        /// The newest form known.
        known: u32,
    },
    /// A record could not be written as JSON.
    #[error("cannot write the container file `{file}`")]
    Encode {
        /// The file.
        file: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Nothing has the name or id.
    #[error("no container is called `{text}`")]
    NotFound {
        /// What was looked for.
        text: String,
    },
    /// Several have the beginning of an id.
    #[error("`{text}` is the beginning of {} container ids: {}", .ids.len(), short(.ids))]
    Ambiguous {
        /// What was looked for.
        text: String,
        /// The ids.
        ids: Vec<String>,
    },
    /// A name is taken.
    #[error("a container called `{name}` exists already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A container is in use.
    #[error("container `{name}` is running")]
    Running {
        /// Its name.
        name: String,
    },
    /// Whoever runs a container does not put it away, although its process was killed.
    #[error("container `{name}` is not let go{}", by(.pid))]
    Held {
        /// Its name.
        name: String,
        /// The process that runs it, where that is known.
        pid: Option<i32>,
    },
    /// A container's process runs, but nobody waits for it.
    #[error("process {pid} of container `{name}` still runs, although its creel was killed")]
    Orphaned {
        /// The container's name.
        name: String,
        /// The process.
        pid: i32,
    },
    /// A killed process of a container does not end.
    #[error("process {pid} of container `{name}` does not end")]
    Lingers {
        /// The container's name.
        name: String,
        /// The process.
        pid: i32,
    },
    /// A container is not running.
    #[error("container `{name}` is not running: it is {state}")]
    NotRunning {
        /// Its name.
        name: String,
        /// How it stands.
        state: &'static str,
    },
}

fn by(pid: &Option<i32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}, which runs it"))
}

/// The ids as `ps` shows them, the first few of many.
fn short(ids: &[String]) -> String {
    let mut ids: Vec<_> =
        ids.iter().map(|id| format!("`{}`", id.get(..SHORT).unwrap_or(id))).collect();
    ids.sort();
    if ids.len() > SHOWN {
        ids.truncate(SHOWN);
        ids.push("…".to_owned());
    }
    ids.join(", ")
}

impl Hint for ContainerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Path(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Damaged { path, .. } => {
                let directory = path.parent().and_then(|parent| parent.file_name())?;
                Some(format!("remove the container: `creel rm -f {}`", directory.display()))
            }
            Self::Newer { .. } => Some("install a newer creel".into()),
            Self::NotFound { .. } => Some("`creel ps -a` lists all containers".into()),
            Self::Ambiguous { .. } => Some("write more digits of the id".into()),
            Self::NameTaken { name } => {
                Some(format!("choose another name, or remove that one: `creel rm {name}`"))
            }
            Self::Running { name } => {
                Some(format!("end its command first, or remove all of it: `creel rm -f {name}`"))
            }
            Self::Held { name, pid: Some(pid) } => {
                Some(format!("end that process first: `kill -9 {pid}`, then `creel rm -f {name}`"))
            }
            Self::Orphaned { .. } => Some("end it with `creel doctor --fix`".into()),
            Self::Lingers { pid, .. } => {
                Some(format!("see what it waits for, and try again then: `cat /proc/{pid}/wchan`"))
            }
            Self::NotRunning { name, .. } => Some(format!("start it with `creel start {name}`")),
            _ => None,
        }
    }
}
