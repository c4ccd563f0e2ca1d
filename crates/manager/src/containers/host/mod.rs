//! The running system as the root of a container, under changes that are thrown away.
//!
//! Root gets an overlay over each mount of the host. A user gets the host read-only, with overlays
//! over the directories that the user can write: the kernel lets nobody else's files be copied up in
//! a user namespace.
//!
//! Neither sees what is in `/run`: a socket there leads to a service that runs outside.

mod assemble;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use creel_base::hint::Hint;
use creel_base::path::PathError;
use rustix::fs::Access;
use serde::{Deserialize, Serialize};

use self::table::{MOUNTS, Mounted};
use crate::Privileges;

/// What the container has of its own, or what must not be seen in it.
const OWN: [&str; 3] = ["/dev", "/proc", "/sys"];
/// What is of the running system as it is now: an empty directory takes its place.
const RUN: [&str; 2] = ["/run", "/var/run"];
/// Types that cannot be a lower layer, or have nothing that could be changed.
const NOT_STACKED: [&str; 10] = [
    "autofs",
    "cgroup",
    "cgroup2",
    "erofs",
    "fuse.portal",
    "iso9660",
    "proc",
    "ramfs",
    "squashfs",
    "sysfs",
];
/// Where any user can write.
const PUBLIC: [&str; 2] = ["/tmp", "/var/tmp"];

/// The running system as the root of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoot {
    /// The directories over which there are overlays, each after those it is below. The changes of
    /// number N are in `mounts/N/upper` of the container's directory.
    pub overlays: Vec<PathBuf>,
    /// Files that are mounted on other ones. They are shown read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// What cannot be changed in the container although the person could change it outside, with
    /// the reason.
    pub left_out: Vec<String>,
}

/// Why the running system cannot be the root of a container.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The host's mounts cannot be listed.
    #[error("cannot read `{MOUNTS}`")]
    Mounts(#[source] io::Error),
    /// A directory of the container cannot be made.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The kernel refused.
    #[error("cannot {action} `{}`", path.display())]
    Refused {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Hint for HostError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Path(error) => error.hint(),
            Self::Refused { .. } => Some("`creel doctor` says what overlayfs needs".into()),
            Self::Mounts(_) => None,
        }
    }
}

impl HostError {
    fn is_of_missing(&self) -> bool {
        self.kind() == Some(io::ErrorKind::NotFound)
    }

    /// Tells whether the kernel does not take a file system for a layer (`ovl_mount_dir_check` in
    /// fs/overlayfs/params.c).
    fn is_of_value(&self) -> bool {
        self.kind() == Some(io::ErrorKind::InvalidInput)
    }

    fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Refused { source, .. } => Some(source.kind()),
            Self::Path(error) => Some(error.kind()),
            Self::Mounts(_) => None,
        }
    }
}

impl HostRoot {
    /// Finds out which directories get an overlay. `hidden` are directories of creel's own, over
    /// which there is none; `writable` are those a user may want to write in.
    ///
    /// # Errors
    /// [`HostError::Mounts`].
    pub(super) fn look(
        privileges: Privileges,
        hidden: &[&Path],
        writable: &[PathBuf],
    ) -> Result<Self, HostError> {
        let mounts = table::read()?;
        if privileges != Privileges::Whole {
            return Ok(Self::of_user(writable, &mounts));
        }
        let mut root = Self::default();
        for Mounted { path, kind } in mounts {
            let own = OWN.iter().chain(&RUN).map(Path::new).chain(hidden.iter().copied());
            if own.into_iter().any(|own| path.starts_with(own)) {
                continue;
            }
            if path.is_file() {
                root.left_out.push(format!("changes of `{}`: it is a mount", path.display()));
                root.files.push(path);
            } else if path.is_dir() {
                root.stack(path, &kind);
            }
        }
        // A mount may be listed before the one it is below was moved there.
        root.overlays.sort();
        root.files.sort();
        root.files.dedup();
        Ok(root)
    }

    fn stack(&mut self, path: PathBuf, kind: &str) {
        if NOT_STACKED.contains(&kind) {
            self.left_out.push(format!("`{}`: {kind} cannot be stacked", path.display()));
        } else if !self.overlays.contains(&path) {
            self.overlays.push(path);
        }
    }

    fn of_user(writable: &[PathBuf], mounts: &[Mounted]) -> Self {
        let mut root = Self::default();
        let has_mounts =
            |path: &Path| mounts.iter().any(|at| at.path != path && at.path.starts_with(path));
        for path in PUBLIC.iter().map(PathBuf::from).chain(writable.iter().cloned()) {
            let can = rustix::fs::access(&path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
            let covered = root.overlays.iter().any(|known| path.starts_with(known));
            if !can || !path.is_dir() || covered {
                continue;
            }
            if RUN.iter().any(|hidden| path.starts_with(hidden)) {
                root.left_out
                    .push(format!("`{}`: what is in `/run` stays outside", path.display()));
            } else if has_mounts(&path) {
                // What they cover must not be uncovered (`has_locked_children` in fs/namespace.c).
                root.left_out.push(format!("changes in `{}`: mounts are below it", path.display()));
            } else {
                root.overlays.push(path);
            }
        }
        root.overlays.sort();
        root
    }
}
