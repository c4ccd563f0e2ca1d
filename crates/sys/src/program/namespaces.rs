//! Namespaces that a child enters after it was made.

use std::os::fd::RawFd;

use libc::{c_int, syscall};

use super::Slot;
use super::call::{State, close, errno, fd, ok, open, write_all};
use super::listen;
use super::run::wait_for_parent;

fn set(namespace: RawFd, kinds: c_int) -> Option<()> {
    // SAFETY: takes integers.
    ok(unsafe { syscall(libc::SYS_setns, namespace, kinds) })
}

pub(super) fn enter_early(state: &mut State<'_>, namespace: Slot, kind: c_int) -> Option<()> {
    match set(state.get(namespace)?, kind) {
        None if errno() == libc::EPERM => Some(()),
        None => None,
        Some(()) => {
            state.forget(namespace);
            Some(())
        }
    }
}

pub(super) fn enter(state: &mut State<'_>, namespace: Slot, kind: c_int) -> Option<()> {
    if !state.has(namespace) {
        return Some(());
    }
    set(state.get(namespace)?, kind)?;
    state.forget(namespace);
    Some(())
}

pub(super) fn join(state: &State<'_>, target: Slot, kinds: c_int) -> Option<()> {
    set(state.get(target)?, kinds)?;
    continue_in_sibling(state, listen::MOVED)
}

pub(super) fn part(state: &State<'_>) -> Option<()> {
    continue_in_sibling(state, listen::PARTED)?;
    wait_for_parent(state.wait)
}

/// Returns in the sibling only; this process tells the parent and ends.
fn continue_in_sibling(state: &State<'_>, report: i32) -> Option<()> {
    // SAFETY: clone_args is plain integers, for which zero is valid. The new process has its own copy
    // of this memory, and this one ends without running handlers.
    unsafe {
        let mut args: libc::clone_args = std::mem::zeroed();
        args.flags = libc::CLONE_PARENT as u64;
        match syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) {
            -1 => None,
            0 => Some(()),
            pid => {
                let message = [report, pid as i32];
                libc::write(state.report, message.as_ptr().cast(), 8);
                libc::_exit(0)
            }
        }
    }
}

/// `unshare` gives the new namespace to children only, which is when its offsets can still be set; by
/// its file this process enters it without becoming another.
pub(super) fn new_clocks(offsets: &[u8]) -> Option<()> {
    // SAFETY: takes integers.
    ok(unsafe { syscall(libc::SYS_unshare, libc::CLONE_NEWTIME) })?;
    if !offsets.is_empty() {
        let file = open(libc::AT_FDCWD, c"/proc/self/timens_offsets", libc::O_WRONLY, 0)?;
        write_all(file, offsets)?;
    }
    let path = c"/proc/self/ns/time_for_children";
    // SAFETY: the path is null-terminated.
    let made = fd(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }.into())?;
    set(made, libc::CLONE_NEWTIME)?;
    close(made);
    Some(())
}
