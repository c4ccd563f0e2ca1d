//! Where things are found in the child.

use std::ffi::CStr;
use std::os::fd::RawFd;

use super::call::{IN_ROOT, State, ensure, fail, open as open_at};
use super::{Op, Slot};

/// Opens the place that the operation names.
pub(super) fn open<'a>(op: &'a Op, state: &mut State<'a>) -> Option<()> {
    match op {
        Op::OpenHost(path, out) => keep(state, libc::AT_FDCWD, path, [0, 0], *out),
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
