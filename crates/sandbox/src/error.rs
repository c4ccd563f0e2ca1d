//! Why a sandbox did not start.

use std::ffi::{NulError, OsString};
use std::io;
use std::path::PathBuf;

use creel_base::hint::Hint;

use crate::check::Conflict;
use crate::lower::Step;
use crate::probe::Cause;

/// A system call filter is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are no system call filter: it has at most 4096 instructions of 8 bytes")]
pub struct FilterError {
    /// Its bytes.
    pub length: usize,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This program has privileges that its caller lacks.
    #[error("the program has privileges by its file, which a sandbox must not have")]
    Elevated,
    /// What is asked for does not go together.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A text holds a null byte.
    #[error("a path, an argument or a variable holds a null byte")]
    Encode(#[from] NulError),
    /// Something of the host cannot be looked at.
    #[error("cannot read `{path}`")]
    Read {
        /// What.
        path: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// What a descriptor holds has no path.
    #[error("a descriptor holds nothing that can be mounted")]
    Descriptor(#[source] io::Error),
    /// The namespaces cannot be made.
    #[error("cannot make the namespaces{}", because(.cause.as_ref()))]
    Namespaces {
        /// What on this host forbids it, if that can be told.
        cause: Option<Cause>,
        /// The kernel's error.
        source: io::Error,
    },
    /// This process could not do its part.
    #[error("cannot start the sandbox")]
    Start(#[source] io::Error),
    /// A step failed.
    #[error("cannot {step}{}", because(.cause.as_ref()))]
    Step {
        /// Which.
        step: Step,
        /// What on this host forbids it, if that can be told.
        cause: Option<Cause>,
        /// The kernel's error.
        source: io::Error,
    },
    /// A mount is to be where a symbolic link is.
    #[error("`{}` is a symbolic link, which nothing is mounted on", at.display())]
    MountOnLink {
        /// The place.
        at: PathBuf,
    },
    /// A symbolic link is to be where something else is.
    #[error("cannot make the link `{}`: {}", at.display(), obstacle(.found.as_ref()))]
    Obstructed {
        /// The place.
        at: PathBuf,
        /// What the link says that is there; none if there is no link.
        found: Option<OsString>,
    },
    /// The program cannot be executed.
    #[error("cannot execute `{}`", program.display())]
    Execute {
        /// Its name.
        program: OsString,
        /// The kernel's error.
        source: io::Error,
    },
}

fn because(cause: Option<&Cause>) -> String {
    cause.map_or_else(String::new, |cause| format!(": {cause}"))
}

fn obstacle(found: Option<&OsString>) -> String {
    match found {
        Some(text) => format!("a link to `{}` is there", text.display()),
        None => "something else is there".into(),
    }
}

impl SandboxError {
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

impl Hint for SandboxError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Elevated => {
                Some("take the set-user-id bit and capabilities off the program's file".into())
            }
            Self::Namespaces { cause: Some(cause), .. } | Self::Step { cause: Some(cause), .. } => {
                Some(cause.remedy().into())
            }
            Self::MountOnLink { .. } => Some("mount on what the link leads to".into()),
            Self::Execute { .. } if self.exit_code() == 127 => {
                Some("check that the program, its interpreter and its libraries are bound".into())
            }
            Self::Step { step: Step::Source(_), .. } => {
                Some("check the path on the host, or make the bind optional (`--bind-try`)".into())
            }
            _ => None,
        }
    }
}
