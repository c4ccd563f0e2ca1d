//! Why a container does not run.

use std::path::PathBuf;

use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_image::process::ProcessError;
use creel_image::user::UserError;
use creel_runtime::cgroup::ResourcesError;
use creel_runtime::lower::LowerError;
use creel_runtime::seccomp::FilterError;
use creel_spawn::SpawnError;
use creel_spawn::cgroup::CgroupError;
use creel_store::StoreError;

use super::error::ContainerError;
use super::host::HostError;
use super::spec::SpecError;
use super::trees::TreesError;
use super::users::UsersError;
use crate::EngineError;
use crate::images::ImageError;

/// Why a container does not run, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something about the container.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Something about the image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A tree of the image cannot be stacked.
    #[error(transparent)]
    Trees(#[from] TreesError),
    /// The image has no process to run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The user is not in the image.
    #[error(transparent)]
    User(#[from] UserError),
    /// A running container's files of users or groups lack a name.
    #[error("container `{container}` has no {what} `{name}`")]
    NobodyCalled {
        /// The container's name.
        container: String,
        /// `user` or `group`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
    },
    /// The choices make no specification.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The specification makes no plan.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The running container refused.
    #[error(transparent)]
    Runtime(#[from] creel_runtime::container::ContainerError),
    /// The plan could not be carried out.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The control group refused.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A profile of system calls cannot be read.
    #[error("cannot read the seccomp profile `{}`", path.display())]
    ReadProfile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A profile of system calls is none.
    #[error("cannot use the seccomp profile of container `{name}`")]
    Profile {
        /// The container.
        name: String,
        /// Why not.
        source: FilterError,
    },
    /// A limit cannot be set.
    #[error(transparent)]
    Resources(#[from] ResourcesError),
    /// The running system cannot be the root.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The container cannot have the ids that were asked for.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The program's own file, which is the init of a container, cannot be mounted.
    #[error("cannot mount the program's own file as the container's init")]
    Init(#[source] std::io::Error),
    /// The program's own file, which is the init of a container, needs libraries of the host.
    #[error(
        "`--init` needs the static creel: this one is linked to libraries that are not in the container"
    )]
    DynamicInit,
    /// A source of a volume is not there.
    #[error("volume source `{}` does not exist", path.display())]
    NoSource {
        /// Its path.
        path: PathBuf,
    },
    /// The process cannot be given standard input, output and error.
    #[error("cannot prepare standard input, output and error")]
    Streams(#[source] std::io::Error),
}

impl RunError {
    /// Returns the exit code that shells and container tools give: 127 if the program was not
    /// found, 126 if it could not be executed, 125 for everything before.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Spawn(error) => error.exit_code(),
            Self::Runtime(error) => error.exit_code(),
            _ => 125,
        }
    }
}

impl Hint for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Container(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Trees(error) => error.hint(),
            Self::Process(error) => error.hint(),
            Self::User(error) => error.hint(),
            Self::Spec(error) => error.hint(),
            Self::Lower(error) => error.hint(),
            Self::Spawn(error) => error.hint(),
            Self::Runtime(error) => error.hint(),
            Self::Cgroup(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Path(error) => error.hint(),
            Self::Profile { source, .. } => source.hint(),
            Self::Resources(error) => error.hint(),
            Self::Host(error) => error.hint(),
            Self::Users(error) => error.hint(),
            Self::NobodyCalled { container, what, .. } => {
                let file = if *what == "user" { "passwd" } else { "group" };
                Some(format!(
                    "give numbers instead (`--user UID:GID`), or see who is there: `creel exec \
                     {container} cat /etc/{file}`"
                ))
            }
            Self::NoSource { path } => {
                Some(format!("make it first: `mkdir -p {}`", path.display()))
            }
            Self::DynamicInit => {
                let target = "--target x86_64-unknown-linux-musl";
                Some(format!("build it with `cargo build --release {target}`, or `./x install`"))
            }
            Self::ReadProfile { .. } | Self::Init(_) | Self::Streams(_) => None,
        }
    }
}
