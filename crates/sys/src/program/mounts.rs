//! Mounts of the child by descriptor; where the kernel lacks those calls, or a filter keeps them back,
//! as [`super::classic`] does them.

use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

use libc::syscall;

use super::Slot;
use super::call::{State, close, errno, fail, fd, ok, open};
use super::classic;
use super::op::{Attributes, Depth, NewFileSystem};

const EMPTY: &CStr = c"";
/// `MOUNT_ATTR_RDONLY`.
pub(super) const READ_ONLY: u64 = 1;
/// `MOUNT_ATTR_NOSUID | NODEV | NOEXEC`.
const HARMLESS: u64 = 2 | 4 | 8;

/// Whether a call is not there.
pub(super) fn is_missing<T>(done: Option<&T>) -> bool {
    done.is_none() && errno() == libc::ENOSYS
}

pub(super) fn clone_tree<'a>(
    state: &mut State<'a>,
    from: Slot,
    depth: Depth,
    out: Slot,
) -> Option<()> {
    let source = state.get(from)?;
    if !state.classic.on {
        let made = clone(source, depth);
        if !is_missing(made.as_ref()) {
            state.classic.detached(out);
            return state.set(out, made?);
        }
        state.classic.on = true;
    }
    classic::clone_tree(state, source, depth, out)
}

pub(super) fn clone(from: RawFd, depth: Depth) -> Option<RawFd> {
    let all = if depth == Depth::All { libc::AT_RECURSIVE } else { 0 };
    // 1 is OPEN_TREE_CLONE.
    let flags = 1 | libc::O_CLOEXEC | libc::AT_EMPTY_PATH | all;
    // SAFETY: the path is an empty string.
    fd(unsafe { syscall(libc::SYS_open_tree, from, EMPTY.as_ptr(), flags) })
}

pub(super) fn new_mount<'a>(
    state: &mut State<'a>,
    system: &'a NewFileSystem,
    out: Slot,
) -> Option<()> {
    if !state.classic.on && system.options.iter().all(is_short) {
        let made = make(system);
        if !is_missing(made.as_ref()) {
            let made = made.or_else(|| stand_in(system))?;
            state.classic.detached(out);
            return state.set(out, made);
        }
        state.classic.on = true;
    }
    classic::new_mount(state, system, out)
}

/// `fsconfig` takes values of 255 bytes at most, `mount` a page for all of them.
fn is_short((_, value): &(CString, Option<CString>)) -> bool {
    value.as_ref().is_none_or(|value| value.as_bytes().len() < 256)
}

fn make(system: &NewFileSystem) -> Option<RawFd> {
    // SAFETY: every string is null-terminated and outlives the calls.
    unsafe {
        let fs = fd(syscall(libc::SYS_fsopen, system.kind.as_ptr(), 1))?;
        for (name, value) in &system.options {
            // FSCONFIG_SET_FLAG is 0, FSCONFIG_SET_STRING 1.
            let (command, value) =
                value.as_ref().map_or((0, std::ptr::null()), |v| (1, v.as_ptr()));
            ok(syscall(libc::SYS_fsconfig, fs, command, name.as_ptr(), value, 0))?;
        }
        // 6 is FSCONFIG_CMD_CREATE.
        ok(syscall(libc::SYS_fsconfig, fs, 6, 0usize, 0usize, 0))?;
        let mount = fd(syscall(libc::SYS_fsmount, fs, 1, system.attributes))?;
        close(fs);
        Some(mount)
    }
}

/// Whether the kernel refuses a file system because of who asks for it, or because what is there hides
/// something of it (`mount_too_revealing`).
pub(super) fn is_refused() -> bool {
    matches!(errno(), libc::EPERM | libc::EBUSY)
}

/// What is bound where the kernel refuses a new file system: it shows more than the container's own
/// would, so it is read-only with all below it.
fn stand_in(system: &NewFileSystem) -> Option<RawFd> {
    let failed = errno();
    let Some(path) = system.stand_in.as_ref().filter(|_| is_refused()) else {
        return fail(failed);
    };
    // What is not there does not say why the kernel refused.
    let Some(source) = open(libc::AT_FDCWD, path, libc::O_PATH, 0) else { return fail(failed) };
    let made = clone(source, Depth::All)?;
    close(source);
    set(made, Depth::All, restriction())?;
    Some(made)
}

/// What the mount of something that is not the container's own gets.
pub(super) fn restriction() -> Attributes {
    Attributes { set: READ_ONLY | HARMLESS, ..Attributes::default() }
}

pub(super) fn set_attributes(
    state: &mut State<'_>,
    mount: Slot,
    depth: Depth,
    attributes: Attributes,
) -> Option<()> {
    let fd = state.get(mount)?;
    if !state.classic.on && !state.classic.is_unmade(mount) {
        let done = set(fd, depth, attributes);
        if !is_missing(done.as_ref()) {
            return done;
        }
        // Mounts that are attached nowhere exist before Linux 5.12, and change by `mount` once they are
        // attached.
        state.classic.on = true;
    }
    classic::set_attributes(state, mount, depth, attributes)
}

pub(super) fn replace_attributes(
    state: &mut State<'_>,
    mount: Slot,
    whole: Attributes,
    kept: Attributes,
) -> Option<()> {
    if !state.classic.on && !state.classic.is_unmade(mount) {
        match set(state.get(mount)?, Depth::One, whole) {
            None if matches!(errno(), libc::EPERM | libc::ENOSYS) => {}
            done => return done,
        }
    }
    set_attributes(state, mount, Depth::One, kept)
}

pub(super) fn set(mount: RawFd, depth: Depth, attributes: Attributes) -> Option<()> {
    let all = if depth == Depth::All { libc::AT_RECURSIVE } else { 0 };
    let (empty, at) = (EMPTY.as_ptr(), libc::AT_EMPTY_PATH | all);
    let set = &raw const attributes;
    // SAFETY: `attributes` has the layout of mount_attr version 0, 32 bytes.
    ok(unsafe { syscall(libc::SYS_mount_setattr, mount, empty, at, set, 32usize) })
}

pub(super) fn attach(state: &mut State<'_>, mount: Slot, place: Slot) -> Option<()> {
    if state.classic.on || state.classic.is_unmade(mount) {
        return classic::attach(state, mount, place);
    }
    move_to(state.get(mount)?, state.get(place)?)?;
    state.classic.attached(mount);
    Some(())
}

/// Makes a file system that stays where it is ready to be looked into.
pub(super) fn look_into(state: &mut State<'_>, mount: Slot) -> Option<()> {
    if state.classic.on { classic::attach_for_itself(state, mount) } else { Some(()) }
}

pub(super) fn move_to(mount: RawFd, place: RawFd) -> Option<()> {
    let empty = EMPTY.as_ptr();
    // SAFETY: both paths are empty strings. 0x44: MOVE_MOUNT_F_EMPTY_PATH | T_EMPTY_PATH.
    ok(unsafe { syscall(libc::SYS_move_mount, mount, empty, place, empty, 0x44) })
}
