//! User namespaces that a whole process enters, as an ordinary user's does before it starts
//! containers, and the id maps for that.

mod helper;
mod subordinate;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use creel_base::hint::Hint;
use creel_sys::program::{Op, Program};
use creel_sys::userns::unshare_with_mounts;

use crate::plan::{IdMap, MapWriter, Namespace};
pub use subordinate::{Ranges, Subordinate, helpers, ranges, subordinate};

/// The user and group ids of a user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMaps {
    /// User ids.
    pub uids: Vec<IdMap>,
    /// Group ids.
    pub gids: Vec<IdMap>,
}

impl IdMaps {
    /// Root inside is this process's user outside, and there are no other ids. This process may
    /// write such maps itself; `setgroups` is denied then.
    #[must_use]
    pub fn own() -> Self {
        let [uids, gids] =
            creel_sys::userns::ids().map(|outside| vec![IdMap { inside: 0, outside, count: 1 }]);
        Self { uids, gids }
    }

    /// Whether `setgroups` is denied in the namespace, see [`crate::Process::setgroups_denied`].
    #[must_use]
    pub fn denies_setgroups(&self) -> bool {
        matches!(self.gids.as_slice(), [map] if map.count == 1)
    }

    /// The maps of a namespace inside one with maps `outer`: ids inside lead to ids in the outer
    /// one, those further out. `None` if some id leads nowhere.
    #[must_use]
    pub fn compose(&self, outer: &Self) -> Option<Self> {
        Some(Self {
            uids: compose(&self.uids, &outer.uids)?,
            gids: compose(&self.gids, &outer.gids)?,
        })
    }
}

/// Splits each range where the outer one does.
fn compose(inner: &[IdMap], outer: &[IdMap]) -> Option<Vec<IdMap>> {
    let mut composed = Vec::new();
    for map in inner {
        let (mut inside, mut middle, mut left) = (map.inside, map.outside, map.count);
        while left > 0 {
            let (found, offset) = outer.iter().find_map(|range| {
                let offset = middle.checked_sub(range.inside)?;
                (offset < range.count).then_some((range, offset))
            })?;
            let count = left.min(found.count - offset);
            composed.push(IdMap { inside, outside: found.outside.checked_add(offset)?, count });
            left -= count;
            // The last range may end at the last id there is.
            let end = (left == 0).then_some(0);
            inside = inside.checked_add(count).or(end)?;
            middle = middle.checked_add(count).or(end)?;
        }
    }
    Some(composed)
}

/// Why a user namespace cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum UsernsError {
    /// The kernel refuses the namespace.
    #[error("cannot make a user namespace")]
    Unshare(#[source] io::Error),
    /// A map cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A helper cannot be started.
    #[error("cannot start `{}`", path.display())]
    Helper {
        /// The program.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A helper refuses the map.
    #[error("`{}` failed: {said}", path.display())]
    Refused {
        /// The program.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// A file of ranges cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The user has no subordinate ids.
    #[error("`{path}` has no range for the user `{name}`")]
    NoRanges {
        /// The file.
        path: &'static str,
        /// The user.
        name: String,
    },
    /// The helpers that map subordinate ids are not installed.
    #[error("`{program}` is not installed")]
    NoHelper {
        /// The program.
        program: &'static str,
    },
}

impl Hint for UsernsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unshare(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Some("run `creel doctor` to see what forbids user namespaces".into())
            }
            Self::NoRanges { name, .. } => Some(format!(
                "run `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}`"
            )),
            Self::NoHelper { .. } => {
                Some("install `uidmap` (Debian) or `shadow-utils` (Fedora)".into())
            }
            Self::Refused { .. } => Some(
                "check `/etc/subuid` and `/etc/subgid`, and that the helper is set-user-id root"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// Whether this process is in the machine's own user namespace, going by its map: all ids, each
/// itself.
///
/// # Errors
/// Fails if `/proc/self/uid_map` cannot be read.
pub fn is_initial() -> Result<bool, UsernsError> {
    let path = "/proc/self/uid_map";
    let text = fs::read_to_string(path).map_err(|source| UsernsError::Read { path, source })?;
    Ok(text.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// Whether this process is root and in the machine's own user namespace: elsewhere nobody gives away
/// rights over devices, and the system's services are others'.
#[must_use]
pub fn is_machines_root() -> bool {
    rustix::process::geteuid().is_root() && is_initial().unwrap_or(false)
}

/// Moves this process into a new user and a new mount namespace with these ids. It is root there if
/// id 0 is mapped to its own; mounts made there are seen by nobody else, and those of the host
/// still arrive.
///
/// The helpers are started before the namespace is made, so that they run outside of it, and both
/// at once.
///
/// # Errors
/// Fails in a process with threads, if namespaces are forbidden, or if a map is refused. In the
/// last case the process is left without ids and can only end.
pub fn enter(maps: &IdMaps, writer: &MapWriter) -> Result<(), UsernsError> {
    match writer {
        MapWriter::Itself => {
            unshare_with_mounts().map_err(UsernsError::Unshare)?;
            write_maps(maps)
        }
        MapWriter::Helpers { newuidmap, newgidmap } => {
            let gids = helper::Helper::new(newgidmap, &maps.gids)?;
            let uids = helper::Helper::new(newuidmap, &maps.uids)?;
            let mut unshared = Ok(());
            let mut group = None;
            let started = uids.start(|| {
                let inner = gids.start(|| {
                    unshared = unshare_with_mounts();
                    // The reason is kept; this one only stops the helpers.
                    unshared.as_ref().map_or_else(|error| Err(error.kind().into()), |()| Ok(()))
                });
                group = Some(inner);
                Ok(())
            });
            unshared.map_err(UsernsError::Unshare)?;
            let user = uids.finish(started);
            // Both are waited for, whichever failed.
            let group = group.map_or(Ok(()), |started| gids.finish(started));
            user.and(group)
        }
    }
}

/// Makes a user namespace with these ids that no process is in, for idmapped mounts; this process
/// must be privileged over the ids.
///
/// # Errors
/// Fails if the namespace cannot be made or a map is refused.
pub fn namespace(maps: &IdMaps) -> Result<OwnedFd, UsernsError> {
    let mut program = Program::default();
    // It ends once the namespace is open: nothing follows.
    program.push(Op::WaitForParent);
    let mut made = None;
    let opened = |pid| {
        let path = |name: &str| format!("/proc/{pid}/{name}");
        fs::write(path("uid_map"), crate::parent::map_text(&maps.uids))?;
        fs::write(path("gid_map"), crate::parent::map_text(&maps.gids))?;
        made = Some(fs::File::open(path("ns/user"))?.into());
        Ok(())
    };
    let started = program.start(Namespace::User as u64, None, opened);
    let running = started.map_err(|failure| UsernsError::Unshare(failure.into_source()))?;
    running.wait().map_err(UsernsError::Unshare)?;
    made.ok_or_else(|| UsernsError::Unshare(io::ErrorKind::NotFound.into()))
}

fn write_maps(maps: &IdMaps) -> Result<(), UsernsError> {
    let write = |path: &str, text: String| {
        fs::write(path, text).map_err(|source| UsernsError::Write { path: path.into(), source })
    };
    if maps.denies_setgroups() {
        write("/proc/self/setgroups", "deny".into())?;
    }
    write("/proc/self/uid_map", crate::parent::map_text(&maps.uids))?;
    write("/proc/self/gid_map", crate::parent::map_text(&maps.gids))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(inside: u32, outside: u32, count: u32) -> IdMap {
        IdMap { inside, outside, count }
    }

    #[test]
    fn composed_ranges_are_split_where_the_outer_are() {
        let outer = [map(0, 1000, 1), map(1, 100_000, 65_536)];
        // What a user sees as himself: his own id inside is his own outside.
        let keep = [map(0, 1, 1000), map(1000, 0, 1), map(1001, 1001, 64_536)];
        assert_eq!(
            compose(&keep, &outer).unwrap(),
            [map(0, 100_000, 1000), map(1000, 1000, 1), map(1001, 101_000, 64_536)]
        );
        assert_eq!(
            compose(&[map(5, 0, 3)], &outer).unwrap(),
            [map(5, 1000, 1), map(6, 100_000, 2)]
        );
        assert_eq!(compose(&[map(0, 65_537, 1)], &outer), None);
        let all = [map(0, 0, u32::MAX)];
        assert_eq!(compose(&all, &all).unwrap(), all);
    }
}
