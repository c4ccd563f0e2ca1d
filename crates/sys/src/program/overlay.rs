//! Overlays, made in the child from layers that it opens one by one.
//!
//! Layers are named `/proc/self/fd/N`: `fsconfig` takes strings of at most 255 bytes, and
//! `mount(2)` a page for all of them.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::syscall;

use super::call::{State, close, errno, fail, fd, ok, open};
use super::classic;
use super::mounts::{self, is_missing, move_to};
use super::op::{Attributes, Depth, Overlay};
use super::text::{Link, Options};

// FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING and FSCONFIG_CMD_CREATE of include/uapi/linux/mount.h.
const SET_FLAG: u32 = 0;
const SET_STRING: u32 = 1;
const CREATE: u32 = 6;

/// Makes and attaches the overlay; returns its mount.
pub(super) fn make(state: &State, overlay: &Overlay) -> Option<RawFd> {
    let place = state.get(overlay.place)?;
    let below = match overlay.upper_in {
        Some(slot) => state.get(slot)?,
        None => libc::AT_FDCWD,
    };
    let upper = match &overlay.upper {
        Some([upper, work]) => Some([open_below(below, upper)?, open_below(below, work)?]),
        None => None,
    };
    for mount in &overlay.mounts {
        move_to(state.get(*mount)?, place)?;
    }
    let made = if overlay.classic {
        mount_classic(state, overlay, upper)
    } else {
        match configure(state, overlay, upper) {
            Some(fs) => finish(fs, overlay.attributes, place),
            // Before 6.7 there is no `lowerdir+`; before 6.5 the kernel says so only when it creates.
            None if matches!(errno(), libc::EINVAL | libc::ENOSYS) => {
                mount_classic(state, overlay, upper)
            }
            None => None,
        }
    };
    let failed = errno();
    upper.into_iter().flatten().for_each(close);
    let Some(made) = made else { return fail(failed) };
    if upper.is_some() && is_read_only(made)? { fail(libc::EROFS) } else { Some(made) }
}

fn open_directory(path: &CStr) -> Option<RawFd> {
    open_below(libc::AT_FDCWD, path)
}

fn open_below(dir: RawFd, path: &CStr) -> Option<RawFd> {
    open(dir, path, libc::O_PATH | libc::O_DIRECTORY, 0)
}

fn set(fs: RawFd, command: u32, name: &CStr, value: Option<&CStr>) -> Option<()> {
    let value = value.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: both strings are null-terminated and outlive the call; a flag takes no value.
    ok(unsafe { syscall(libc::SYS_fsconfig, fs, command, name.as_ptr(), value, 0) })
}

/// A file system context, configured and created, not yet mounted.
fn configure(state: &State, overlay: &Overlay, upper: Option<[RawFd; 2]>) -> Option<RawFd> {
    // SAFETY: the name is null-terminated. 1 is FSOPEN_CLOEXEC.
    let fs = fd(unsafe { syscall(libc::SYS_fsopen, c"overlay".as_ptr(), 1) })?;
    let done = configure_options(fs, state, overlay, upper).and_then(|()| create(fs));
    if done.is_none() {
        let failed = errno();
        close(fs);
        return fail(failed);
    }
    Some(fs)
}

fn create(fs: RawFd) -> Option<()> {
    // SAFETY: takes integers and null pointers.
    ok(unsafe { syscall(libc::SYS_fsconfig, fs, CREATE, 0usize, 0usize, 0) })
}

fn configure_options(
    fs: RawFd,
    state: &State,
    overlay: &Overlay,
    upper: Option<[RawFd; 2]>,
) -> Option<()> {
    for path in &overlay.lowers {
        let layer = open_directory(path)?;
        let done = set(fs, SET_STRING, c"lowerdir+", Some(Link::new(layer).text()));
        let failed = errno();
        close(layer);
        done.or_else(|| fail(failed))?;
    }
    for mount in &overlay.mounts {
        let link = Link::new(state.get(*mount)?);
        set(fs, SET_STRING, c"lowerdir+", Some(link.text()))?;
    }
    if let Some([upper, work]) = upper {
        set(fs, SET_STRING, c"upperdir", Some(Link::new(upper).text()))?;
        set(fs, SET_STRING, c"workdir", Some(Link::new(work).text()))?;
    }
    for (name, value) in &overlay.options {
        let command = if value.is_some() { SET_STRING } else { SET_FLAG };
        set(fs, command, name, value.as_deref())?;
    }
    Some(())
}

fn finish(fs: RawFd, attributes: u32, place: RawFd) -> Option<RawFd> {
    // SAFETY: takes integers. 1 is FSMOUNT_CLOEXEC.
    let made = fd(unsafe { syscall(libc::SYS_fsmount, fs, 1, attributes) })?;
    close(fs);
    move_to(made, place)?;
    Some(made)
}

fn add_layer(options: &mut Options, before: &[u8], layer: RawFd) -> Option<()> {
    options.add(&[before, Link::new(layer).text().to_bytes()])
}

/// The way of kernels before 6.7. Layers stay open; what this process keeps is closed later.
fn mount_classic(state: &State, overlay: &Overlay, upper: Option<[RawFd; 2]>) -> Option<RawFd> {
    let mut options = Options::new();
    let mut before: &[u8] = b"lowerdir=";
    for path in &overlay.lowers {
        add_layer(&mut options, before, open_directory(path)?)?;
        before = b":";
    }
    for mount in &overlay.mounts {
        add_layer(&mut options, before, state.get(*mount)?)?;
        before = b":";
    }
    if let Some([upper, work]) = upper {
        add_layer(&mut options, b",upperdir=", upper)?;
        add_layer(&mut options, b",workdir=", work)?;
    }
    for (name, value) in &overlay.options {
        options.add(&[b",", name.to_bytes()])?;
        if let Some(value) = value {
            options.add(&[b"=", value.to_bytes()])?;
        }
    }
    let place = Link::new(state.get(overlay.place)?);
    let (kind, data) = (c"overlay".as_ptr(), options.text().as_ptr());
    // SAFETY: every string is null-terminated (the options are shorter than their buffer of zeros)
    // and outlives the call.
    ok(unsafe { syscall(libc::SYS_mount, kind, place.text().as_ptr(), kind, 0usize, data) })?;
    // The old descriptor is below the new mount; only the path leads to its top.
    let made = state.classic.open_again(overlay.place)?;
    let set = Attributes { set: overlay.attributes.into(), ..Attributes::default() };
    let done = mounts::set(made, Depth::One, set);
    let done = if is_missing(done.as_ref()) { classic::apply(made, Depth::One, set) } else { done };
    done.map(|()| made)
}

fn is_read_only(mount: RawFd) -> Option<bool> {
    // SAFETY: statvfs is plain data that fstatvfs fills.
    let flags = unsafe {
        let mut info: libc::statvfs = std::mem::zeroed();
        ok(libc::fstatvfs(mount, &raw mut info).into())?;
        info.f_flag
    };
    Some(flags & libc::ST_RDONLY != 0)
}
