//! Helpers of the child: system calls that neither allocate nor lock.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::{c_int, c_long, syscall};

use super::Slot;
use super::classic::Classic;
use super::op::{Kind, LastLink, Modes, Target};
use super::walk::{self, Missing};

/// How many descriptors a program can be executed with; the child's own have numbers from here on.
pub(super) const DESCRIPTORS: usize = 128;
pub(super) const IN_ROOT: u64 = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
/// How often a walk is begun again because something was renamed meanwhile, by whom the container
/// may be: each is a whole walk.
const RETRIES: u32 = 1024;

/// What the child knows besides its operations; all of it is allocated by the parent.
pub(super) struct State<'a> {
    pub(super) slots: Vec<RawFd>,
    /// Room for a list of all descriptors.
    room: Vec<RawFd>,
    pub(super) wait: RawFd,
    pub(super) report: RawFd,
    /// What is sent along with the report of what failed, if not negative.
    pub(super) evidence: RawFd,
    /// Descriptors below this number are the program's.
    pub(super) kept: u32,
    /// Whether the place that was last ensured was missing before.
    pub(super) created: bool,
    /// The mask that there was before it was emptied.
    pub(super) umask: libc::mode_t,
    /// Which of several directories was entered.
    pub(super) entered: usize,
    /// Whether the working directory was entered.
    pub(super) is_inside: bool,
    pub(super) classic: Classic<'a>,
}

/// How many slots operations have for themselves.
const OWN: usize = 3;

impl State<'_> {
    pub(super) fn new(slots: usize, wait: RawFd, report: RawFd) -> Self {
        let slots = slots + OWN;
        Self {
            slots: vec![-1; slots],
            room: Vec::with_capacity(slots + 2),
            wait,
            report,
            evidence: -1,
            kept: 3,
            created: false,
            umask: 0,
            entered: 0,
            is_inside: false,
            classic: Classic::new(slots),
        }
    }

    pub(super) fn get(&self, slot: Slot) -> Option<RawFd> {
        self.slots.get(slot.0).copied().filter(|fd| *fd >= 0).or_else(|| fail(libc::EBADF))
    }

    /// A slot of which an operation makes use as long as it runs.
    pub(super) fn own(&self, number: usize) -> Slot {
        Slot(self.slots.len() - OWN + number)
    }

    /// Whether the slot holds a descriptor.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.slots.get(slot.0).is_some_and(|fd| *fd >= 0)
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

    /// Closes every descriptor but the program's and those of this state.
    pub(super) fn close_foreign(&mut self) -> Option<()> {
        self.room.clear();
        self.room.extend_from_slice(&self.slots);
        self.room.extend([self.wait, self.report]);
        close_others(self.kept, &mut self.room)
    }
}

/// Closes every descriptor from `first` on but the given ones.
pub(super) fn close_others(mut first: u32, keep: &mut [RawFd]) -> Option<()> {
    keep.sort_unstable();
    for fd in keep.iter().filter_map(|fd| u32::try_from(*fd).ok()) {
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = first.max(fd.saturating_add(1));
    }
    close_range(first, u32::MAX)
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
    fd(unsafe { libc::fcntl(source, libc::F_DUPFD_CLOEXEC, DESCRIPTORS as c_int) }.into())
}

/// `openat2`, or a walk of its own where the kernel or a filter does not know that call.
pub(super) fn open(dir: RawFd, path: &CStr, flags: c_int, resolve: u64) -> Option<RawFd> {
    let how: [u64; 3] = [(flags | libc::O_CLOEXEC) as u64, 0, resolve];
    for _ in 0..RETRIES {
        // SAFETY: `how` has the layout of open_how version 0 and the path is null-terminated.
        let opened =
            unsafe { syscall(libc::SYS_openat2, dir, path.as_ptr(), how.as_ptr(), 24usize) };
        match fd(opened) {
            // A rename happened anywhere during a walk that must not leave the root.
            None if errno() == libc::EAGAIN => {}
            None if errno() == libc::ENOSYS => return walk::open(dir, path, flags, resolve),
            opened => return opened,
        }
    }
    fail(libc::EAGAIN)
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

/// Opens the target, making what is missing of it by single names in opened directories.
pub(super) fn ensure(state: &mut State<'_>, root: RawFd, target: &Target) -> Option<RawFd> {
    let directory = match target.kind {
        Kind::Directory => true,
        Kind::File => false,
        Kind::Like(slot) => is_directory(state.get(slot)?)?,
    };
    state.created = false;
    let links = if target.last == LastLink::Followed { 0 } else { libc::O_NOFOLLOW };
    // Mostly all of it is there.
    match open(root, &target.path, libc::O_PATH | links, IN_ROOT) {
        None if errno() == libc::ENOENT => {}
        opened if target.last == LastLink::Refused => return refuse_link(opened?),
        opened => return opened,
    }
    state.created = true;
    let Modes { parents, directory: wide, file } = target.modes;
    let mode = if directory { wide } else { file };
    walk::in_root(root, &target.path, Missing::Made { directory, mode, parents })
}

fn refuse_link(found: RawFd) -> Option<RawFd> {
    if stat(found)?.st_mode & libc::S_IFMT == libc::S_IFLNK {
        close(found);
        return fail(libc::ELOOP);
    }
    Some(found)
}

/// Makes a directory or an empty file; one that is there already will do.
pub(super) fn create(dir: RawFd, name: &CStr, directory: bool, mode: u32) -> Option<()> {
    // SAFETY: the name is null-terminated and one component of a path.
    let made = unsafe {
        if directory {
            syscall(libc::SYS_mkdirat, dir, name.as_ptr(), mode)
        } else {
            syscall(libc::SYS_mknodat, dir, name.as_ptr(), libc::S_IFREG | mode, 0)
        }
    };
    if made < 0 && errno() != libc::EEXIST { None } else { Some(()) }
}

pub(super) fn write_below(dir: RawFd, path: &CStr, data: &[u8]) -> Option<()> {
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
    write_all(open(dir, path, libc::O_WRONLY, resolve)?, data)
}

/// Writes all at once, as files of procfs take it, and closes the file.
pub(super) fn write_all(file: RawFd, data: &[u8]) -> Option<()> {
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
