//! The host's root put together, in a mount namespace of this process's own, which ends with it.
//!
//! The overlays are stacked on one another as the host's mounts are, so they are attached there.

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use creel_base::path::Dir;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    self, FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use super::{HostError, HostRoot, RUN};
use crate::Privileges;
use crate::containers::upper;

/// Where the root is put together, in the container's directory.
const PLACE: &str = "root";
/// What says where names are looked up. Its file is often in `/run`.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Largest such file that is shown, in bytes.
const RESOLV_CONF_LIMIT: u64 = 1 << 20;

impl HostRoot {
    /// Puts the root together below the container's directory, and returns where.
    ///
    /// # Errors
    /// [`HostError`].
    pub(in crate::containers) fn assemble(
        &self,
        dir: &Dir,
        privileges: Privileges,
    ) -> Result<PathBuf, HostError> {
        let place = dir.mkdir_open(PLACE, Mode::RWXU)?.path().to_owned();
        leave_namespace()?;
        if privileges != Privileges::Whole {
            bind_read_only(&place)?;
        }
        let uppers = dir.mkdir_open("mounts", Mode::RWXU)?;
        for (index, path) in self.overlays.iter().enumerate() {
            let changes = uppers.mkdir_open(index.to_string(), Mode::RWXU)?;
            let stacked = overlay(path, &changes, privileges);
            unless_gone(stacked.and_then(|stacked| attach(&stacked, &within(&place, path))))?;
        }
        for path in &self.files {
            unless_gone(show_file(&place, path))?;
        }
        hide_run(&place)?;
        Ok(place)
    }

    /// Leaves out what overlayfs does not take, as it says only when it is asked. `dir` is a directory
    /// for the trial.
    ///
    /// # Errors
    /// [`HostError`]; where the root itself is not taken, too.
    pub(in crate::containers) fn tried(
        mut self,
        dir: &Dir,
        privileges: Privileges,
    ) -> Result<Self, HostError> {
        const TRIAL: &str = "trial";
        let trial = dir.mkdir_open(TRIAL, Mode::RWXU)?;
        for (index, path) in std::mem::take(&mut self.overlays).into_iter().enumerate() {
            let changes = trial.mkdir_open(index.to_string(), Mode::RWXU)?;
            match overlay(&path, &changes, privileges) {
                Err(error) if error.is_of_value() && path != Path::new("/") => {
                    self.left_out.push(format!("`{}`: overlayfs does not take it", path.display()));
                }
                Err(error) if !error.is_of_missing() => return Err(error),
                _ => self.overlays.push(path),
            }
        }
        dir.remove_all(TRIAL)?;
        Ok(self)
    }

    /// Takes the root apart that [`HostRoot::assemble`] has put together, if this process did: what
    /// it is mounted on cannot be removed. A container's process has a copy of its own.
    pub(in crate::containers) fn take_apart(dir: &Dir) {
        // Without the mounts of this process there is nothing to be taken apart.
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        let _ = mount::unmount(dir.path().join(PLACE), flags);
    }
}

fn leave_namespace() -> Result<(), HostError> {
    creel_sys::mount::unshare().map_err(|source| HostError::Refused {
        action: "leave the mount namespace of",
        path: "/".into(),
        source,
    })?;
    mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
        .map_err(refused("separate the mounts below", Path::new("/")))
}

/// What was unmounted or removed since the container was made cannot be seen.
fn unless_gone(done: Result<(), HostError>) -> Result<(), HostError> {
    match done {
        Err(error) if error.is_of_missing() => Ok(()),
        done => done,
    }
}

fn within(place: &Path, path: &Path) -> PathBuf {
    place.join(path.strip_prefix("/").unwrap_or(path))
}

/// Binds the host's root with all below it, read-only.
fn bind_read_only(place: &Path) -> Result<(), HostError> {
    let root = Path::new("/");
    let tree = clone(root, OpenTreeFlags::AT_RECURSIVE)?;
    make_read_only(&tree, root)?;
    attach(&tree, place)
}

/// Binds a file that is mounted on another one, read-only: nothing can be stacked on a file.
fn show_file(place: &Path, path: &Path) -> Result<(), HostError> {
    let tree = clone(path, OpenTreeFlags::empty())?;
    make_read_only(&tree, path)?;
    attach(&tree, &within(place, path))
}

fn clone(path: &Path, depth: OpenTreeFlags) -> Result<OwnedFd, HostError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | depth;
    mount::open_tree(CWD, path, flags).map_err(refused("clone the mounts below", path))
}

fn make_read_only(tree: &OwnedFd, path: &Path) -> Result<(), HostError> {
    creel_sys::mount::make_read_only(tree.as_fd()).map_err(|source| HostError::Refused {
        action: "make read-only the mounts below",
        path: path.to_owned(),
        source,
    })
}

/// Covers the sockets and the state of the running services: whatever listens there is the host's.
fn hide_run(place: &Path) -> Result<(), HostError> {
    for path in RUN.map(Path::new) {
        // A link leads to one that is covered itself.
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
            attach(empty(path)?, &within(place, path))?;
        }
    }
    show_resolv_conf(place)
}

fn empty(path: &Path) -> Result<OwnedFd, HostError> {
    let at = |action| refused(action, path);
    let context = mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("cover"))?;
    mount::fsconfig_set_string(&context, "mode", "755").map_err(at("cover"))?;
    mount::fsconfig_create(&context).map_err(at("cover"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(at("cover"))
}

/// Copies the file that `/etc/resolv.conf` leads to, where that is in what was covered.
fn show_resolv_conf(place: &Path) -> Result<(), HostError> {
    let Ok(path) = fs::canonicalize(RESOLV_CONF) else { return Ok(()) };
    let below = |covered: &'static str| Some((covered, path.strip_prefix(covered).ok()?));
    let Some((covered, below)) = RUN.into_iter().find_map(below) else { return Ok(()) };
    let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else { return Ok(()) };
    // What cannot be read outside cannot be read inside.
    let Ok(content) = Dir::open(covered).and_then(|run| run.read(below, RESOLV_CONF_LIMIT)) else {
        return Ok(());
    };
    let mut dir = Dir::open(within(place, Path::new(covered)))?;
    for part in parent {
        dir = dir.mkdir_open(part, Mode::from_raw_mode(0o755))?;
    }
    let mut file = dir.create_new(name, Mode::from_raw_mode(0o644))?;
    file.write_all(&content).map_err(|source| HostError::Refused { action: "copy", path, source })
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
