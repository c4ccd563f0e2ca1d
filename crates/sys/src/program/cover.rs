//! Paths that are hidden or made read-only.

use std::ffi::CStr;

use libc::syscall;

use super::Slot;
use super::call::{IN_ROOT, State, errno, fd, is_directory, ok, open_in_root};
use super::classic;
use super::mounts::{READ_ONLY, attach, clone_tree, move_to, set_attributes};
use super::op::{Attributes, Depth};

/// Opens an existing path below the root; a missing one is no error.
fn open_existing<'a>(
    state: &mut State<'a>,
    root: Slot,
    path: &'a CStr,
    place: Slot,
) -> Option<bool> {
    let from = state.get(root)?;
    match open_in_root(from, path) {
        None if matches!(errno(), libc::ENOENT | libc::ENOTDIR) => return Some(false),
        found => state.set(place, found?)?,
    }
    state.classic.opened(place, from, path, IN_ROOT);
    Some(true)
}

pub(super) fn mask<'a>(
    state: &mut State<'a>,
    root: Slot,
    path: &'a CStr,
    null: Slot,
    empty: Slot,
) -> Option<()> {
    let [place, made] = [0, 1].map(|number| state.own(number));
    if !open_existing(state, root, path, place)? {
        return Some(());
    }
    if !is_directory(state.get(place)?)? {
        clone_tree(state, null, Depth::One, made)?;
        // The null device is the host's: nobody can change its mode or owner through this mount. It
        // can be written to all the same.
        set_attributes(state, made, Depth::One, Attributes { set: UNCHANGING, ..NOTHING })?;
    } else if state.has(empty) {
        clone_tree(state, empty, Depth::One, made)?;
    } else {
        return attach_empty(state, place, empty);
    }
    attach(state, made, place)
}

const NOTHING: Attributes = Attributes { set: 0, clear: 0, propagation: 0, user_namespace: 0 };
/// `MOUNT_ATTR_RDONLY | NOSUID | NOEXEC`.
const UNCHANGING: u64 = 1 | 2 | 8;

/// The first masked directory gets the empty file system that later ones are clones of.
fn attach_empty(state: &mut State<'_>, place: Slot, empty: Slot) -> Option<()> {
    if state.classic.on {
        let made = classic::attach_empty(state, place)?;
        return state.set(empty, made);
    }
    // SAFETY: fsopen and its configuration take null-terminated constants.
    let made = unsafe {
        let fs = fd(syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 1))?;
        ok(syscall(libc::SYS_fsconfig, fs, 6, 0usize, 0usize, 0))?;
        // MOUNT_ATTR_RDONLY | NOSUID | NODEV | NOEXEC.
        fd(syscall(libc::SYS_fsmount, fs, 1, 1 | 2 | 4 | 8))?
    };
    move_to(made, state.get(place)?)?;
    state.set(empty, made)
}

pub(super) fn read_only<'a>(state: &mut State<'a>, root: Slot, path: &'a CStr) -> Option<()> {
    let [place, made] = [0, 1].map(|number| state.own(number));
    if !open_existing(state, root, path, place)? {
        return Some(());
    }
    // Without the mounts below, where those could not be made read-only.
    let depth = if state.classic.on { Depth::One } else { Depth::All };
    clone_tree(state, place, depth, made)?;
    set_attributes(state, made, depth, Attributes { set: READ_ONLY, ..NOTHING })?;
    attach(state, made, place)
}
