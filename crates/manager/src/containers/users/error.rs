//! Why a container cannot have ids of its own.

use std::path::PathBuf;

use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_spawn::userns::UsernsError;
use creel_store::StoreError;

use crate::containers::error::ContainerError;

/// Why a container cannot have the ids that were asked for.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The other containers cannot be looked at.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A tree of the image cannot be looked at.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The ranges of ids cannot be read, or the namespace cannot be made.
    #[error(transparent)]
    Userns(#[from] UsernsError),
    /// There are no subordinate ids that containers could have.
    #[error("`{owner}` has no subordinate ids to give to containers")]
    None {
        /// Whose they would be.
        owner: String,
        /// The command that gives some.
        mend: String,
    },
    /// The subordinate ids are too few, or other containers have them.
    #[error("no {size} subordinate {kind} ids in a row are left; other containers have {taken}")]
    Taken {
        /// How many are needed.
        size: u32,
        /// `user` or `group`.
        kind: &'static str,
        /// How many others have.
        taken: u64,
        /// The command that gives more.
        mend: String,
    },
    /// The files of the running system belong to the ids that they belong to.
    #[error("`host:` cannot have a user namespace of its own")]
    Host,
    /// The process is to run as somebody whom the namespace does not have.
    #[error("user {uid}:{gid} is not among the ids of the container")]
    NotMapped {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// A volume is to be given to the container's root.
    #[error("volume `{target}` cannot be given to the ids of the container (`U`)")]
    Give {
        /// Where it is mounted.
        target: String,
    },
    /// The kernel refused a mount.
    #[error("cannot {action} `{}`", path.display())]
    Mount {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// overlayfs cannot write.
    #[error("the kernel made the root at `{}` read-only", path.display())]
    ReadOnly {
        /// Its changes.
        path: PathBuf,
    },
}

impl Hint for UsersError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Container(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Path(error) => return error.hint(),
            Self::Userns(error) => return error.hint(),
            Self::None { mend, .. } => format!("run `{mend}`"),
            Self::Taken { mend, .. } => format!(
                "remove containers (`creel ps -a`), take fewer with `--userns auto:size=NUMBER`, or \
                 add some: `{mend}`"
            ),
            Self::Host => "leave `--userns` out".into(),
            Self::NotMapped { .. } => {
                "take more ids with `--userns auto:size=NUMBER`, or another user with `--user`"
                    .into()
            }
            Self::Give { .. } => {
                "write `idmap` instead: what root owns is then the container's root's".into()
            }
            Self::Mount { .. } | Self::ReadOnly { .. } => {
                "`creel doctor` says what overlayfs needs".into()
            }
        })
    }
}
