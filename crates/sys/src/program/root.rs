//! The root of the child.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::{c_ulong, syscall};

use super::call::{State, errno, fail, ok};

/// Makes every mount private. What was noted to be bound while mounts were connected would not be any
/// more.
pub(super) fn make_private(state: &State<'_>) -> Option<()> {
    if state.classic.has_unmade() {
        return fail(libc::ENOSYS);
    }
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE)
}

pub(super) fn pivot(root: RawFd, more: usize) -> Option<()> {
    // SAFETY: takes integers and null-terminated constants.
    unsafe {
        ok(syscall(libc::SYS_fchdir, root))?;
        ok(syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
        // The kernel takes what is on top of the place each time.
        for _ in 0..=more {
            ok(syscall(libc::SYS_umount2, c".".as_ptr(), libc::MNT_DETACH))?;
        }
        ok(syscall(libc::SYS_chdir, c"/".as_ptr()))
    }
}

/// Moves the root over the old one, and goes there.
pub(super) fn replace(root: RawFd) -> Option<()> {
    // SAFETY: takes integers and null-terminated constants.
    unsafe {
        ok(syscall(libc::SYS_fchdir, root))?;
        mount(Some(c"."), c"/", libc::MS_MOVE)?;
    }
    change(root)
}

/// Goes into the directory as the root of this process alone.
pub(super) fn change(root: RawFd) -> Option<()> {
    // SAFETY: takes integers and null-terminated constants.
    unsafe {
        ok(syscall(libc::SYS_fchdir, root))?;
        ok(syscall(libc::SYS_chroot, c".".as_ptr()))?;
        ok(syscall(libc::SYS_chdir, c"/".as_ptr()))
    }
}

/// A mount that a more privileged namespace holds in its place is covered instead.
pub(super) fn uncover(path: &CStr) -> Option<()> {
    let flags = libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW;
    // SAFETY: the path is null-terminated.
    let done = ok(unsafe { syscall(libc::SYS_umount2, path.as_ptr(), flags) });
    match done {
        None if matches!(errno(), libc::EINVAL | libc::EPERM) => {}
        done => return done,
    }
    let (kind, path, flags) = (c"tmpfs".as_ptr(), path.as_ptr(), libc::MS_RDONLY);
    // SAFETY: every string is null-terminated; no options is a null pointer.
    ok(unsafe { syscall(libc::SYS_mount, kind, path, kind, flags, 0usize) })
}

fn mount(source: Option<&CStr>, target: &CStr, flags: c_ulong) -> Option<()> {
    let source = source.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: both strings are null-terminated; no type and no options are null pointers.
    ok(unsafe { syscall(libc::SYS_mount, source, target.as_ptr(), 0usize, flags, 0usize) })
}
