//! Mounts that are attached nowhere, made by the parent of a program.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `MOUNT_ATTR_IDMAP`.
const IDMAP: u64 = 0x0010_0000;

/// Clones the mount at a path, without those below it, as a detached one with `MOUNT_ATTR_*`.
///
/// # Errors
/// Fails without `CAP_SYS_ADMIN`, or as `open_tree` (5.2) and `mount_setattr` (5.12) do.
pub fn clone_detached(path: &CStr, attributes: u64) -> io::Result<OwnedFd> {
    let mount = clone(path, 0)?;
    if attributes != 0 {
        set_attributes(mount.as_fd(), [attributes, 0, 0, 0])?;
    }
    Ok(mount)
}

fn clone(path: &CStr, depth: i32) -> io::Result<OwnedFd> {
    // 1 is OPEN_TREE_CLONE.
    let flags = 1 | libc::O_CLOEXEC | depth;
    // SAFETY: the path is null-terminated; a descriptor returned is new and nothing else owns it.
    unsafe {
        let fd = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// Clones a mount as [`clone_detached`] does, with ids mapped as in a user namespace: what a file
/// owns by an id inside is what the id outside accesses.
///
/// # Errors
/// Fails as [`clone_detached`] does, and with `EINVAL` if the file system cannot be idmapped.
pub fn clone_idmapped(path: &CStr, attributes: u64, userns: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mount = clone_detached(path, 0)?;
    let userns = u64::try_from(userns.as_raw_fd()).map_err(io::Error::other)?;
    set_attributes(mount.as_fd(), [attributes | IDMAP, 0, 0, userns])?;
    Ok(mount)
}

/// Clones the mount at a path as a detached one that is private: nothing that is mounted on it shows
/// outside, nor the other way round. `below` clones the mounts below it too, `all` maps their ids as well.
///
/// # Errors
/// Fails as [`clone_idmapped`] does.
pub fn clone_private_idmapped(
    path: &CStr,
    below: bool,
    all: bool,
    userns: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let recursive = |wanted| if wanted { libc::AT_RECURSIVE } else { 0 };
    let mount = clone(path, recursive(below))?;
    set(mount.as_fd(), [0, 0, libc::MS_PRIVATE, 0], recursive(below))?;
    let userns = u64::try_from(userns.as_raw_fd()).map_err(io::Error::other)?;
    set(mount.as_fd(), [IDMAP, 0, 0, userns], recursive(all))?;
    Ok(mount)
}

/// Makes a mount read-only, with all below it.
///
/// # Errors
/// Fails as `mount_setattr` (5.12) does.
pub fn make_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    // 1 is MOUNT_ATTR_RDONLY.
    set(mount, [1, 0, 0, 0], libc::AT_RECURSIVE)
}

fn set_attributes(mount: BorrowedFd<'_>, attributes: [u64; 4]) -> io::Result<()> {
    set(mount, attributes, 0)
}

fn set(mount: BorrowedFd<'_>, attributes: [u64; 4], depth: i32) -> io::Result<()> {
    let (fd, empty, at) = (mount.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH | depth);
    let set = attributes.as_ptr();
    // SAFETY: the path is empty; the attributes have the layout of mount_attr version 0, 32 bytes.
    let done = unsafe { libc::syscall(libc::SYS_mount_setattr, fd, empty, at, set, 32usize) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Leaves the mount namespace for a copy of it.
///
/// # Errors
/// Fails without `CAP_SYS_ADMIN`.
pub fn unshare() -> io::Result<()> {
    // SAFETY: takes flags; other threads keep the namespace they are in.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Enters a mount namespace, whose root becomes the root and the working directory.
///
/// # Errors
/// Fails without `CAP_SYS_ADMIN` and `CAP_SYS_CHROOT`, and in a thread that shares its directories
/// with others; after [`unshare`] it does not.
pub fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes a descriptor and flags; other threads keep the namespace they are in.
    let done = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
