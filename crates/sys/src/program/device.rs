//! Device nodes of the child.

use std::os::fd::RawFd;

use libc::syscall;

use super::call::{State, close, create, errno, fail, fd, ok, open, stat};
use super::mounts;
use super::op::{Depth, Device};

/// Makes a node, or binds that of the host where none can be made (`mknod` in a user namespace).
pub(super) fn make<'a>(state: &mut State<'a>, device: &'a Device) -> Option<()> {
    let directory = state.get(device.directory)?;
    if !device.bound {
        let made = make_node(directory, device);
        if made.is_some() || errno() != libc::EPERM {
            return made;
        }
    }
    bind(state, directory, device)
}

fn make_node(directory: RawFd, device: &Device) -> Option<()> {
    let [major, minor] = device.numbers;
    let (name, flags) = (device.name.as_ptr(), libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: the name is null-terminated and outlives the calls.
    unsafe {
        let numbers = libc::makedev(major, minor);
        if ok(libc::mknodat(directory, name, device.mode, numbers).into()).is_none() {
            return is_there(directory, device);
        }
        let [uid, gid] = device.owner;
        if uid != 0 || gid != 0 {
            ok(libc::fchownat(directory, name, uid, gid, flags).into())?;
        }
    }
    Some(())
}

/// What is there must be the device; its mode and its owner stay (they may be the host's).
fn is_there(directory: RawFd, device: &Device) -> Option<()> {
    if errno() != libc::EEXIST {
        return None;
    }
    let found = look(directory, device)?;
    let same = is_device(found, device)?;
    close(found);
    if same { Some(()) } else { fail(libc::EEXIST) }
}

fn look(directory: RawFd, device: &Device) -> Option<RawFd> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: the name is null-terminated.
    fd(unsafe { syscall(libc::SYS_openat, directory, device.name.as_ptr(), flags, 0) })
}

fn is_device(found: RawFd, device: &Device) -> Option<bool> {
    let (stat, kind) = (stat(found)?, device.mode & libc::S_IFMT);
    let [major, minor] = device.numbers;
    let numbered = kind != libc::S_IFIFO;
    let same = !numbered || stat.st_rdev == libc::makedev(major, minor);
    Some(stat.st_mode & libc::S_IFMT == kind && same)
}

fn bind<'a>(state: &mut State<'a>, directory: RawFd, device: &'a Device) -> Option<()> {
    let [host, place, made] = [0, 1, 2].map(|number| state.own(number));
    let found = open(libc::AT_FDCWD, &device.host, libc::O_PATH, 0)?;
    state.set(host, found)?;
    if !is_device(found, device)? {
        return fail(libc::ENODEV);
    }
    create(directory, &device.name, false, 0o644)?;
    let at = look(directory, device)?;
    state.set(place, at)?;
    if stat(at)?.st_mode & libc::S_IFMT == libc::S_IFLNK {
        return fail(libc::ELOOP);
    }
    state.classic.opened(place, directory, &device.name, libc::RESOLVE_NO_SYMLINKS);
    mounts::clone_tree(state, host, Depth::One, made)?;
    mounts::attach(state, made, place)
}
