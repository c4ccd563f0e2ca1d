//! Why a container could not be made, started, signalled or deleted.

use std::io;
use std::path::{Path, PathBuf};

use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_spawn::cgroup::CgroupError;
use creel_spawn::resctrl::ResctrlError;
use creel_spawn::userns::UsernsError;
use creel_spawn::{NetDeviceError, SpawnError};

use super::criu::CriuError;
use super::locate::path_at;
use super::state::Status;
use crate::cgroup::ResourcesError;
use crate::container::ContainerError;
use crate::lower::LowerError;

/// Why something could not be done with a container. The words "does not exist", "not running" and
/// "already exists" are what callers of runtimes look for.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// A name that no container can have.
    #[error("invalid container id `{id}`")]
    Id {
        /// The name.
        id: String,
    },
    /// There is no such container.
    #[error("container `{id}` does not exist")]
    NoContainer {
        /// Its name.
        id: String,
    },
    /// Nothing can be done with it yet but to delete it by force.
    #[error("container `{id}` does not exist: it is being made, or that was cut off")]
    Unfinished {
        /// Its name.
        id: String,
    },
    /// The name is taken.
    #[error("container with id `{id}` already exists")]
    Exists {
        /// The name.
        id: String,
        /// Whether it was made as a whole.
        whole: bool,
    },
    /// The state forbids it.
    #[error("cannot {action} container `{id}`: container not running (it is {status})")]
    NotRunning {
        /// What was to be done.
        action: &'static str,
        /// Its name.
        id: String,
        /// Its state.
        status: Status,
    },
    /// A user has a container with limits or a path only where groups are the user's. The words are what
    /// callers look for.
    #[error(
        "unable to apply cgroup configuration: permission denied: rootless needs no limits + no \
         cgrouppath when no permission is granted for cgroups"
    )]
    NoGroup(#[source] CgroupError),
    /// Groups of version 1 are not systemd's alone.
    #[error("systemd makes control groups of version 2 only, and this machine has version 1")]
    SystemdNeedsV2,
    /// Only a paused container is resumed.
    #[error("cannot resume container `{id}`: container not paused (it is {status})")]
    NotPaused {
        /// Its name.
        id: String,
        /// Its state.
        status: Status,
    },
    /// A process would not begin before the container is resumed. The words are what callers look for.
    #[error("cannot exec in a paused container (use --ignore-paused to override)")]
    ExecPaused,
    /// The container is not one that waits for its start.
    #[error("cannot start container `{id}`, which is {status}")]
    NotCreated {
        /// Its name.
        id: String,
        /// Its state.
        status: Status,
    },
    /// Only a stopped container is deleted.
    #[error("cannot delete container `{id}` that is not stopped: it is {status}")]
    NotStopped {
        /// Its name.
        id: String,
        /// Its state.
        status: Status,
    },
    /// Its processes do not end.
    #[error("container `{id}` does not end although it was killed")]
    Lingers {
        /// Its name.
        id: String,
    },
    /// A document cannot be understood.
    #[error("{}`{}` is not as it should be", within(.field), .path.display())]
    Document {
        /// Its file.
        path: PathBuf,
        /// The path of the property that is wrong; empty if that is the whole document.
        field: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A network device cannot be had.
    #[error("cannot give the container the device `{field}`")]
    NetDevice {
        /// The property.
        field: String,
        /// The reason.
        source: NetDeviceError,
    },
    /// The class of caches and memory bandwidth cannot be had.
    #[error("cannot give the container what `linux.intelRdt` says")]
    IntelRdt {
        /// The reason.
        #[from]
        source: ResctrlError,
    },
    /// The root directory belongs to another user.
    #[error("`{}` belongs to another user", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// `process.terminal` and the console socket go together.
    #[error("{0}")]
    Terminal(&'static str),
    /// The terminal cannot be handed over.
    #[error("cannot send the terminal to `{path}`")]
    Console {
        /// The socket.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A descriptor that is to be handed through is not there.
    #[error("cannot hand through the descriptor {number}")]
    Descriptor {
        /// Its number.
        number: u32,
        /// The reason.
        source: io::Error,
    },
    /// The pidfd cannot be handed over.
    #[error("cannot send the pidfd to `{path}`")]
    Pidfd {
        /// The socket.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The socket that a process waits on cannot be made or reached.
    #[error("cannot use the socket `{path}`")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A checkpoint cannot be made or restored.
    #[error(transparent)]
    Criu(#[from] CriuError),
    /// A file or directory cannot be used.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The specification is wrong.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The control group cannot be made.
    #[error(transparent)]
    Resources(#[from] ResourcesError),
    /// The control group refuses.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The ids of the container cannot be had.
    #[error(transparent)]
    Users(#[from] UsernsError),
    /// Nobody but root has a container in the caller's user namespace. The words are what callers look for.
    #[error("rootless container requires user namespaces")]
    NeedsUserNamespace,
    /// The process cannot be made ready or started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The process cannot be looked at or signalled.
    #[error(transparent)]
    Container(#[from] ContainerError),
}

fn within(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("`{field}` in ") }
}

impl LifecycleError {
    /// A document that cannot be understood, with its text.
    #[must_use]
    pub fn document(path: &Path, text: &[u8], source: serde_json::Error) -> Self {
        let field = path_at(text, source.line(), source.column());
        Self::Document { path: path.into(), field, source }
    }

    /// Whether the container is not running: it may have ended just now.
    #[must_use]
    pub fn is_not_running(&self) -> bool {
        matches!(self, Self::NotRunning { .. } | Self::Container(ContainerError::NotRunning))
    }
}

impl Hint for LifecycleError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Id { .. } => {
                Some("use letters, digits, `_`, `+`, `-` and `.`, with no dot in front".into())
            }
            Self::Exists { id, whole: true } => {
                Some(format!("choose another, or run `creel oci delete {id}`"))
            }
            Self::Exists { id, whole: false } | Self::Unfinished { id } => {
                Some(format!("if what made it was killed, run `creel oci delete --force {id}`"))
            }
            Self::NotStopped { id, .. } => {
                Some(format!("run `creel oci kill {id} KILL`, or `creel oci delete --force {id}`"))
            }
            Self::Users(error) => error.hint(),
            Self::NeedsUserNamespace => {
                Some("add `{\"type\": \"user\"}` to `linux.namespaces`, and mappings of ids".into())
            }
            Self::Foreign { .. } => Some("name a directory of your own by `--root`".into()),
            Self::Path(error) => error.hint(),
            Self::Lower(error) => error.hint(),
            Self::Criu(error) => error.hint(),
            Self::IntelRdt { source } => source.hint(),
            Self::Resources(error) => error.hint(),
            Self::Cgroup(error) | Self::NoGroup(error) => error.hint(),
            Self::Spawn(error) => error.hint(),
            Self::Container(error) => error.hint(),
            _ => None,
        }
    }
}
