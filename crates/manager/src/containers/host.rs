//! The running system as the root of a container, under changes that are thrown away.
//!
//! Root gets an overlay over each mount of the host. A user gets the host read-only, with overlays
//! over the directories that the user can write: the kernel lets nobody else's files be copied up in
//! a user namespace.
//!
//! The overlays are stacked on one another as the host's mounts are, so they are attached in a mount
//! namespace of this process's own, which ends with it.

use std::fs;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use creel_base::hint::Hint;
use creel_base::path::{Dir, PathError};
use rustix::fs::{Access, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    self, FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use serde::{Deserialize, Serialize};

use super::upper;
use crate::Privileges;

/// Where mounts are looked up.
const MOUNTS: &str = "/proc/self/mountinfo";
/// What the container has of its own, or what must not be seen in it.
const OWN: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Types that cannot be a lower layer, or have nothing that could be changed.
const NOT_STACKED: [&str; 6] = ["autofs", "erofs", "fuse.portal", "iso9660", "ramfs", "squashfs"];
/// Where the root is put together, in the container's directory.
const PLACE: &str = "root";
/// Where any user can write.
const PUBLIC: [&str; 2] = ["/tmp", "/var/tmp"];

/// The running system as the root of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoot {
    /// The directories over which there are overlays, each after those it is below. The changes of
    /// number N are in `mounts/N/upper` of the container's directory.
    pub overlays: Vec<PathBuf>,
    /// What cannot be changed in the container although the person could change it outside, with
    /// the reason.
    pub left_out: Vec<String>,
}

/// Why the running system cannot be the root of a container.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The host's mounts cannot be listed.
    #[error("cannot read `{MOUNTS}`")]
    Mounts(#[source] std::io::Error),
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
        source: std::io::Error,
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
        matches!(self, Self::Refused { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
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
        let text = fs::read_to_string(MOUNTS).map_err(HostError::Mounts)?;
        let mounts: Vec<_> = text.lines().filter_map(mount_point).collect();
        if privileges != Privileges::Whole {
            return Ok(Self::of_user(writable, &mounts));
        }
        let mut root = Self::default();
        for (path, kind) in mounts {
            let own = OWN.iter().map(Path::new).chain(hidden.iter().copied());
            if own.into_iter().any(|own| path.starts_with(own)) || !path.is_dir() {
                continue;
            }
            if NOT_STACKED.contains(&kind.as_str()) {
                root.left_out.push(format!("`{}`: {kind} cannot be stacked", path.display()));
            } else if !root.overlays.contains(&path) {
                root.overlays.push(path);
            }
        }
        // A mount may be listed before the one it is below was moved there.
        root.overlays.sort();
        Ok(root)
    }

    fn of_user(writable: &[PathBuf], mounts: &[(PathBuf, String)]) -> Self {
        let mut root = Self::default();
        let has_mounts =
            |path: &Path| mounts.iter().any(|(at, _)| at != path && at.starts_with(path));
        for path in PUBLIC.iter().map(PathBuf::from).chain(writable.iter().cloned()) {
            let can = rustix::fs::access(&path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
            let covered = root.overlays.iter().any(|known| path.starts_with(known));
            if !can || !path.is_dir() || covered {
                continue;
            }
            if has_mounts(&path) {
                // What they cover must not be uncovered (`has_locked_children` in fs/namespace.c).
                root.left_out.push(format!("changes in `{}`: mounts are below it", path.display()));
            } else {
                root.overlays.push(path);
            }
        }
        root.overlays.sort();
        root
    }

    /// Puts the root together below the container's directory, in a mount namespace of this process's
    /// own, and returns where.
    ///
    /// # Errors
    /// [`HostError`].
    pub(super) fn assemble(&self, dir: &Dir, privileges: Privileges) -> Result<PathBuf, HostError> {
        let place = dir.mkdir_open(PLACE, Mode::RWXU)?.path().to_owned();
        let failed = |action| refused(action, Path::new("/"));
        creel_sys::mount::unshare().map_err(|source| HostError::Refused {
            action: "leave the mount namespace of",
            path: "/".into(),
            source,
        })?;
        mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
            .map_err(failed("separate the mounts below"))?;
        if privileges != Privileges::Whole {
            bind_read_only(&place)?;
        }
        let uppers = dir.mkdir_open("mounts", Mode::RWXU)?;
        for (index, path) in self.overlays.iter().enumerate() {
            let changes = uppers.mkdir_open(index.to_string(), Mode::RWXU)?;
            let below = path.strip_prefix("/").unwrap_or(path);
            let stacked = overlay(path, &changes, privileges);
            match stacked.and_then(|stacked| attach(&stacked, &place.join(below))) {
                // Unmounted, or removed, since the container was made: there is nothing to see.
                Err(error) if error.is_of_missing() => {}
                done => done?,
            }
        }
        Ok(place)
    }

    /// Takes the root apart that [`HostRoot::assemble`] has put together, if this process did: what
    /// it is mounted on cannot be removed. A container's process has a copy of its own.
    pub(super) fn take_apart(dir: &Dir) {
        // Without the mounts of this process there is nothing to be taken apart.
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        let _ = mount::unmount(dir.path().join(PLACE), flags);
    }
}

/// The mount point and the type of a line of mountinfo (proc_pid_mountinfo(5)).
fn mount_point(line: &str) -> Option<(PathBuf, String)> {
    let (before, after) = line.split_once(" - ")?;
    let path = before.split(' ').nth(4)?;
    let kind = after.split(' ').next()?;
    Some((unescape(path), kind.to_owned()))
}

/// Blanks, tabs, line ends and backslashes are written as three octal digits.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let octal = after.get(..3).and_then(|digits| core::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => bytes.push(*first),
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Binds the host's root with all below it, read-only.
fn bind_read_only(place: &Path) -> Result<(), HostError> {
    let root = Path::new("/");
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree =
        mount::open_tree(CWD, root, flags).map_err(refused("clone the mounts below", root))?;
    creel_sys::mount::make_read_only(tree.as_fd()).map_err(|source| HostError::Refused {
        action: "make read-only the mounts below",
        path: root.to_owned(),
        source,
    })?;
    attach(&tree, place)
}

/// Stacks changes on a directory of the host.
fn overlay(lower: &Path, changes: &Dir, privileges: Privileges) -> Result<OwnedFd, HostError> {
    upper::make(changes, &[lower.to_owned()])?;
    let at = |action| refused(action, lower);
    let context =
        mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("stack changes on"))?;
    let layers = [
        ("lowerdir", lower.to_owned()),
        ("upperdir", changes.path().join("upper")),
        ("workdir", changes.path().join("work")),
    ];
    // Kernels before 6.5 follow the links only when the file system is made.
    let mut open = Vec::new();
    for (key, path) in layers {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty()).map_err(refused("open", &path))?;
        // A path of any length and with any characters, in one that the kernel takes.
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        mount::fsconfig_set_string(&context, key, link).map_err(at("stack changes on"))?;
        open.push(fd);
    }
    if privileges != Privileges::Whole {
        mount::fsconfig_set_flag(&context, "userxattr").map_err(at("stack changes on"))?;
    }
    mount::fsconfig_create(&context).map_err(at("stack changes on"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV;
    mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(at("stack changes on"))
}

fn attach(tree: impl AsFd, place: &Path) -> Result<(), HostError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    mount::move_mount(tree, "", CWD, place, flags).map_err(refused("mount", place))
}

fn refused(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> HostError {
    move |errno| HostError::Refused { action, path: path.to_owned(), source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mount_points() {
        let line = r"36 35 98:0 /mnt1 /mnt\0402\134x rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(("/mnt 2\\x".into(), "ext3".into())));
        assert_eq!(mount_point("short"), None);
        assert_eq!(unescape(r"/a\b"), Path::new(r"/a\b"));
    }
}
