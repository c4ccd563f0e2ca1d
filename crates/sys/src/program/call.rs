//! Helpers of the child: system calls that neither allocate nor lock.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::{c_int, c_long, syscall};

use super::Slot;
use super::op::{Depth, Kind, NewFileSystem, Target};

/// How many descriptors a program can hold.
pub(super) const SLOTS: usize = 128;
const IN_ROOT: u64 = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
const EMPTY: &CStr = c"";

/// What the child knows besides its operations.
pub(super) struct State {
    pub(super) slots: [RawFd; SLOTS],
    pub(super) wait: RawFd,
    pub(super) report: RawFd,
    /// Descriptors below this number are the program's.
    pub(super) kept: u32,
}

impl State {
    pub(super) fn get(&self, slot: Slot) -> Option<RawFd> {
        self.slots.get(slot.0).copied().filter(|fd| *fd >= 0).or_else(|| fail(libc::EBADF))
    }

    /// Keeps a descriptor; the one that the slot held before is closed.
    pub(super) fn set(&mut self, slot: Slot, fd: RawFd) -> Option<()> {
        let Some(place) = self.slots.get_mut(slot.0) else { return fail(libc::EINVAL) };
        let before = std::mem::replace(place, fd);
        if before >= 0 && before != fd {
            close(before);
        }
        Some(())
    }

    /// Closes the descriptor of a slot.
    pub(super) fn forget(&mut self, slot: Slot) {
        if let Some(place) = self.slots.get_mut(slot.0) {
            close(std::mem::replace(place, -1));
        }
    }

    /// Closes every descriptor from `kept` on but the given ones.
    pub(super) fn close_others(&self, mut keep: [RawFd; SLOTS + 2]) -> Option<()> {
        keep.sort_unstable();
        let mut first = self.kept;
        for fd in keep.into_iter().filter_map(|fd| u32::try_from(fd).ok()) {
            if fd > first {
                close_range(first, fd - 1)?;
            }
            first = first.max(fd.saturating_add(1));
        }
        close_range(first, u32::MAX)
    }
}

/// Sets errno.
pub(super) fn fail<T>(errno: c_int) -> Option<T> {
    // SAFETY: errno is this thread's own.
    unsafe { *libc::__errno_location() = errno };
    None
}

pub(super) fn errno() -> c_int {
    // SAFETY: errno is this thread's own.
    unsafe { *libc::__errno_location() }
}

pub(super) fn ok(result: c_long) -> Option<()> {
    (result >= 0).then_some(())
}

pub(super) fn fd(result: c_long) -> Option<RawFd> {
    (result >= 0).then_some(result as RawFd)
}

pub(super) fn close(fd: RawFd) {
    // SAFETY: closes a descriptor of this process alone.
    unsafe { libc::close(fd) };
}

fn close_range(first: u32, last: u32) -> Option<()> {
    // SAFETY: takes integers; the child uses none of these descriptors again.
    ok(unsafe { syscall(libc::SYS_close_range, first, last, 0) })
}

/// Duplicates a descriptor to a number that no program descriptor takes.
pub(super) fn high(source: RawFd) -> Option<RawFd> {
    // SAFETY: takes integers.
    fd(unsafe { libc::fcntl(source, libc::F_DUPFD_CLOEXEC, SLOTS as c_int) }.into())
}

pub(super) fn open(dir: RawFd, path: &CStr, flags: c_int, resolve: u64) -> Option<RawFd> {
    let how: [u64; 3] = [(flags | libc::O_CLOEXEC) as u64, 0, resolve];
    loop {
        // SAFETY: `how` has the layout of open_how version 0 and the path is null-terminated.
        let opened =
            unsafe { syscall(libc::SYS_openat2, dir, path.as_ptr(), how.as_ptr(), 24usize) };
        // EAGAIN: a rename happened anywhere during a walk that must not leave the root.
        if opened >= 0 || errno() != libc::EAGAIN {
            return fd(opened);
        }
    }
}

pub(super) fn open_in_root(root: RawFd, path: &CStr) -> Option<RawFd> {
    open(root, path, libc::O_PATH, IN_ROOT)
}

pub(super) fn stat(fd: RawFd) -> Option<libc::stat> {
    // SAFETY: stat is plain data that fstat fills.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        ok(libc::fstat(fd, &raw mut stat).into())?;
        Some(stat)
    }
}

pub(super) fn is_directory(fd: RawFd) -> Option<bool> {
    Some(stat(fd)?.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

pub(super) fn check_file_system(fd: RawFd, magic: i64) -> Option<()> {
    // SAFETY: statfs is plain data that fstatfs fills.
    let found = unsafe {
        let mut info: libc::statfs = std::mem::zeroed();
        ok(libc::fstatfs(fd, &raw mut info).into())?;
        info.f_type as i64
    };
    if found == magic { Some(()) } else { fail(libc::EXDEV) }
}

/// Walks to the target, creating what is missing by single names in opened directories.
pub(super) fn ensure(state: &State, root: RawFd, target: &Target) -> Option<RawFd> {
    let directory = match target.kind {
        Kind::Directory => true,
        Kind::File => false,
        Kind::Like(slot) => is_directory(state.get(slot)?)?,
    };
    // Mostly all of it is there; what the path leads to is what the walk would end at.
    let path = target.parts.last().map_or(c".", |(path, _)| path.as_c_str());
    match open_in_root(root, path) {
        None if errno() == libc::ENOENT => {}
        opened => return opened,
    }
    let mut place = open_in_root(root, c".")?;
    for (index, (path, name)) in target.parts.iter().enumerate() {
        let next = match open_in_root(root, path) {
            Some(next) => next,
            None if errno() == libc::ENOENT => {
                create(place, name, directory || index + 1 < target.parts.len())?;
                open_in_root(root, path)?
            }
            None => return None,
        };
        close(place);
        place = next;
    }
    Some(place)
}

fn create(dir: RawFd, name: &CStr, directory: bool) -> Option<()> {
    // SAFETY: the name is null-terminated and one component of a path.
    let made = unsafe {
        if directory {
            syscall(libc::SYS_mkdirat, dir, name.as_ptr(), 0o755)
        } else {
            syscall(libc::SYS_mknodat, dir, name.as_ptr(), libc::S_IFREG | 0o644, 0)
        }
    };
    if made < 0 && errno() != libc::EEXIST { None } else { Some(()) }
}

pub(super) fn clone_tree(from: RawFd, depth: Depth) -> Option<RawFd> {
    let all = if depth == Depth::All { libc::AT_RECURSIVE } else { 0 };
    // 1 is OPEN_TREE_CLONE.
    let flags = 1 | libc::O_CLOEXEC | libc::AT_EMPTY_PATH | all;
    // SAFETY: the path is an empty string.
    fd(unsafe { syscall(libc::SYS_open_tree, from, EMPTY.as_ptr(), flags) })
}

pub(super) fn new_mount(system: &NewFileSystem) -> Option<RawFd> {
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

pub(super) fn set_attributes(
    mount: RawFd,
    depth: Depth,
    attributes: super::op::Attributes,
) -> Option<()> {
    let all = if depth == Depth::All { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attributes` has the layout of mount_attr version 0, 32 bytes.
    ok(unsafe {
        syscall(
            libc::SYS_mount_setattr,
            mount,
            EMPTY.as_ptr(),
            libc::AT_EMPTY_PATH | all,
            &raw const attributes,
            32usize,
        )
    })
}

pub(super) fn attach(mount: RawFd, place: RawFd) -> Option<()> {
    let empty = EMPTY.as_ptr();
    // SAFETY: both paths are empty strings. 0x44: MOVE_MOUNT_F_EMPTY_PATH | T_EMPTY_PATH.
    ok(unsafe { syscall(libc::SYS_move_mount, mount, empty, place, empty, 0x44) })
}

pub(super) fn write_below(dir: RawFd, path: &CStr, data: &[u8]) -> Option<()> {
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
    let file = open(dir, path, libc::O_WRONLY, resolve)?;
    // SAFETY: the buffer outlives the call.
    let written = unsafe { libc::write(file, data.as_ptr().cast(), data.len()) };
    let failed = errno();
    close(file);
    match usize::try_from(written) {
        Ok(count) if count == data.len() => Some(()),
        Ok(_) => fail(libc::EIO),
        Err(_) => fail(failed),
    }
}
