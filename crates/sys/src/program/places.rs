//! Where things are found in the child.

use std::ffi::CStr;
use std::os::fd::RawFd;

use super::call::{IN_ROOT, State, ensure, fail, ok, open as open_at};
use super::{Op, Slot};

/// Opens the place that the operation names.
pub(super) fn open<'a>(op: &'a Op, state: &mut State<'a>) -> Option<()> {
    match op {
        Op::OpenHost(path, out) => keep(state, libc::AT_FDCWD, path, [0, 0], *out),
        Op::OpenHostItself(path, out) => {
            keep(state, libc::AT_FDCWD, path, [libc::O_NOFOLLOW as u64, 0], *out)
        }
        Op::OpenInRoot(dir, path, out) => {
            let from = state.get(*dir)?;
            keep(state, from, path, [0, IN_ROOT], *out)
        }
        Op::OpenRealDirectory(dir, path, out) => {
            let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS;
            let from = state.get(*dir)?;
            keep(state, from, path, [libc::O_DIRECTORY as u64, resolve], *out)
        }
        Op::Ensure(root, target, out) => {
            let from = state.get(*root)?;
            let found = ensure(state, from, target)?;
            state.set(*out, found)?;
            state.classic.opened(*out, from, &target.path, IN_ROOT);
            Some(())
        }
        _ => fail(libc::ENOSYS),
    }
}

/// Mounts on one place are told apart by their numbers (`statx(2)`, Linux 5.8).
pub(super) fn check_distinct(one: RawFd, other: RawFd) -> Option<()> {
    if identity(one)? == identity(other)? { fail(libc::EINVAL) } else { Some(()) }
}

fn identity(fd: RawFd) -> Option<[u64; 4]> {
    let (empty, mask) = (c"".as_ptr(), libc::STATX_INO | libc::STATX_MNT_ID);
    // SAFETY: the path is empty; statx is plain data, which the call fills.
    unsafe {
        let mut found: libc::statx = std::mem::zeroed();
        ok(libc::statx(fd, empty, libc::AT_EMPTY_PATH, mask, &raw mut found).into())?;
        let [major, minor] = [found.stx_dev_major, found.stx_dev_minor].map(u64::from);
        Some([major, minor, found.stx_ino, found.stx_mnt_id])
    }
}

fn keep<'a>(
    state: &mut State<'a>,
    from: RawFd,
    path: &'a CStr,
    [flags, resolve]: [u64; 2],
    out: Slot,
) -> Option<()> {
    let found = open_at(from, path, libc::O_PATH | flags as i32, resolve)?;
    state.set(out, found)?;
    state.classic.opened(out, from, path, resolve);
    Some(())
}
