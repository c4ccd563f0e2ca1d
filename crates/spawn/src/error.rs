//! Why a plan was not applied.

use std::ffi::NulError;
use std::io;
use std::path::PathBuf;

use creel_base::hint::Hint;

use crate::cgroup::CgroupError;
use crate::hook::HookError;
use crate::landlock::LandlockError;
use crate::userns::UsernsError;

/// Why a plan was not applied.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A string of the plan holds a null byte.
    #[error("could not encode a string of the plan")]
    Encode(#[from] NulError),
    /// The plan has no new mount namespace, so changing the root would change the host.
    #[error("the plan has no new mount namespace")]
    NoMountNamespace,
    /// An overlay has neither an upper directory nor a layer with a path.
    #[error("the overlay has no layer")]
    NoLayer,
    /// The control group cannot be opened.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The user namespace of an idmapped mount cannot be made.
    #[error("could not make the user namespace of an idmapped mount")]
    IdMaps(#[source] UsernsError),
    /// A mount cannot have ids of its own.
    #[error("could not map the ids of `{}`", path.display())]
    Mapped {
        /// What is mounted.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// A sysctl or path is not plain names below its root.
    #[error("path `{path}` is not made of plain names")]
    ParentInPath {
        /// The path.
        path: String,
    },
    /// The kernel did not say which capabilities it has.
    #[error("could not read `/proc/sys/kernel/cap_last_cap`")]
    ReadLastCapability(#[source] io::Error),
    /// The mounts of this process are not known.
    #[error("could not read `/proc/self/mountinfo`")]
    ReadMounts(#[source] io::Error),
    /// Labels cannot be set without the host's procfs.
    #[error("could not open the procfs at `/proc`")]
    Procfs(#[source] io::Error),
    /// The parent could not make the child.
    #[error("could not start the process")]
    Start(#[source] io::Error),
    /// A policy of Landlock cannot be laid on the process.
    #[error(transparent)]
    Landlock(#[from] LandlockError),
    /// The filter notifies about calls, and nobody was named to listen.
    #[error("nobody listens to what the system call filter notifies about")]
    NoListener,
    /// The listener of the filter went to nobody, or nobody answered for the process.
    #[error("could not hand over the listener of the system call filter")]
    Listener(#[source] io::Error),
    /// A step failed in the child.
    #[error("could not {step}")]
    Step {
        /// What was being done.
        step: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A hook did not do its work. The words are those that callers of runtimes know.
    #[error("error running {hook}")]
    Hook {
        /// Which.
        hook: String,
        /// How it ended.
        #[source]
        source: HookError,
    },
    /// No candidate of the program could be executed.
    #[error("could not execute `{program}`")]
    Execute {
        /// The name of the program.
        program: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
}

impl SpawnError {
    /// The exit code that shells and container tools give: 127 if the program was not found, 126
    /// if it could not be executed, 125 if something failed before.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Execute { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Execute { .. } => 126,
            _ => 125,
        }
    }
}

impl Hint for SpawnError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Cgroup(error) => error.hint(),
            Self::IdMaps(error) => error.hint(),
            Self::Landlock(error) => error.hint(),
            Self::NoListener => Some("use a filter that notifies nobody".into()),
            Self::Listener(_) => Some("see whether who listens to the filter answers".into()),
            _ if self.exit_code() == 127 => {
                Some("check that the program is in the image and in its `PATH`".into())
            }
            _ => None,
        }
    }
}
