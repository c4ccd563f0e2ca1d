//! Which ids this process has: root's all of them, a user's those of a namespace.

use std::fs;

use creel_spawn::MapWriter;
use creel_spawn::userns::{self, IdMaps, Subordinate};
use creel_store::Owners;

use crate::Privileges;

pub use creel_spawn::userns::UsernsError;

/// The ids there are now.
#[derive(Debug)]
pub enum Identity {
    /// All that images need: root's, or a user's own and the subordinate ones.
    Many,
    /// One: the user's, who is root inside. With the reason why there are no more, unless a
    /// namespace with one id was found.
    One(Option<UsernsError>),
    /// The user's, who is nobody's root: user namespaces are forbidden.
    Unprivileged(UsernsError),
}

impl Identity {
    /// Returns what the rights of this process reach.
    pub fn privileges(&self) -> Privileges {
        match self {
            Self::Many if userns::is_initial().unwrap_or(false) => Privileges::Whole,
            Self::Many => Privileges::Namespace { setgroups_denied: false },
            Self::One(_) | Self::Unprivileged(_) => {
                Privileges::Namespace { setgroups_denied: true }
            }
        }
    }

    /// Returns whose the files of a loose store are.
    pub const fn owners(&self) -> Owners {
        match self {
            Self::Many => Owners::AsInTree,
            Self::One(_) | Self::Unprivileged(_) => Owners::Caller,
        }
    }
}

/// Tells which ids this process has without giving it any.
pub fn look() -> Identity {
    let many = rustix::process::geteuid().is_root() && !has_one_id();
    if many { Identity::Many } else { Identity::One(None) }
}

/// Gives an ordinary user the ids of a user namespace, in which the process is root from then on.
/// Root keeps what it has. To be called while there is one thread.
///
/// # Errors
/// [`UsernsError`] where the namespace is there and its ids are not: the process can only end then.
pub fn take() -> Result<Identity, UsernsError> {
    if rustix::process::geteuid().is_root() {
        return Ok(if has_one_id() { Identity::One(None) } else { Identity::Many });
    }
    let own = || Subordinate { maps: IdMaps::own(), writer: MapWriter::Itself };
    let (ids, lack) = match userns::subordinate() {
        Ok(ids) => (ids, None),
        Err(lack) => (own(), Some(lack)),
    };
    match (userns::enter(&ids.maps, &ids.writer), lack) {
        (Ok(()), None) => Ok(Identity::Many),
        (Ok(()), lack) => Ok(Identity::One(lack)),
        (Err(refused @ UsernsError::Unshare(_)), _) => Ok(Identity::Unprivileged(refused)),
        (Err(error), _) => Err(error),
    }
}

/// Whether this process is in a namespace with one user id, as within `unshare --map-root-user`.
fn has_one_id() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mut fields = map.split_whitespace().skip(2);
    fields.next() == Some("1") && fields.next().is_none()
}
