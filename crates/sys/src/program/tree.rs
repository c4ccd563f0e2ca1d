//! Copies of directories into new file systems (`tmpcopyup`).
//!
//! The child of a process with threads copies: nothing is allocated, and directories are read one entry
//! at a time. What is copied from is the container's, so no link in it is followed.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::{c_int, syscall};

use super::Slot;
use super::call::{State, close, errno, fail, fd, ok, stat};

/// How deep directories may be; each takes two descriptors.
const MAX_DEPTH: usize = 128;
/// Room for the longest entry: its head and a name.
const ENTRY: usize = 512;
/// The longest text of a link.
const LINK: usize = libc::PATH_MAX as usize;

pub(super) fn copy_mode(state: &State<'_>, from: Slot, to: Slot) -> Option<()> {
    if state.created {
        return Some(());
    }
    let mode = stat(state.get(from)?)?.st_mode & 0o7777;
    // SAFETY: takes integers and a null-terminated constant.
    ok(unsafe { libc::fchmodat(state.get(to)?, c".".as_ptr(), mode, 0) }.into())
}

/// A directory that is being copied.
#[derive(Clone, Copy)]
struct Level {
    from: RawFd,
    to: RawFd,
    /// Where the next entry is read (`d_off`).
    next: i64,
}

/// Copies what is in a directory: files, directories, links and special files with their owners, modes
/// and times. Mounts in it are not entered.
pub(super) fn copy(from: RawFd, to: RawFd) -> Option<()> {
    let mut levels = [Level { from: -1, to: -1, next: 0 }; MAX_DEPTH];
    let mut depth = 0;
    let done = walk(&mut levels, &mut depth, from, to);
    let failed = errno();
    for level in levels.iter().take(depth) {
        close(level.from);
        close(level.to);
    }
    done.or_else(|| fail(failed))
}

fn walk(levels: &mut [Level; MAX_DEPTH], depth: &mut usize, from: RawFd, to: RawFd) -> Option<()> {
    let device = stat(from)?.st_dev;
    enter(levels, depth, from, to, c".")?;
    while let Some(level) = depth.checked_sub(1).and_then(|last| levels.get_mut(last)) {
        let mut entry = [0u64; ENTRY / 8];
        let Some(name) = read(level, &mut entry)? else {
            restore(level.to, c".", &stat(level.from)?)?;
            close(level.from);
            close(level.to);
            *depth -= 1;
            continue;
        };
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let Level { from, to, .. } = *level;
        let found = open(from, name, libc::O_PATH | libc::O_NOFOLLOW)?;
        let stat = stat(found);
        close(found);
        let stat = stat?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
            copy_one(from, to, name, &stat)?;
        } else {
            // SAFETY: the name is null-terminated and one component of a path.
            ok(unsafe { libc::mkdirat(to, name.as_ptr(), 0o700) }.into())?;
            if stat.st_dev == device {
                enter(levels, depth, from, to, name)?;
            }
        }
    }
    Some(())
}

fn enter(
    levels: &mut [Level; MAX_DEPTH],
    depth: &mut usize,
    from: RawFd,
    to: RawFd,
    name: &CStr,
) -> Option<()> {
    let Some(level) = levels.get_mut(*depth) else { return fail(libc::ENAMETOOLONG) };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    *level = Level { from: open(from, name, flags)?, to: open(to, name, flags)?, next: 0 };
    *depth += 1;
    Some(())
}

fn open(dir: RawFd, name: &CStr, flags: c_int) -> Option<RawFd> {
    // SAFETY: the name is null-terminated.
    fd(unsafe { syscall(libc::SYS_openat, dir, name.as_ptr(), flags | libc::O_CLOEXEC, 0o600) })
}

/// Reads the next entry of a directory; nothing at its end.
fn read<'a>(level: &mut Level, entry: &'a mut [u64; ENTRY / 8]) -> Option<Option<&'a CStr>> {
    // SAFETY: takes integers, then a buffer with its size.
    let length = unsafe {
        ok(libc::lseek(level.from, level.next, libc::SEEK_SET))?;
        syscall(libc::SYS_getdents64, level.from, entry.as_mut_ptr(), ENTRY)
    };
    match length {
        0 => return Some(None),
        1.. => {}
        _ => return None,
    }
    // SAFETY: any bytes are initialised bytes, and the length is that of the array.
    let bytes = unsafe { std::slice::from_raw_parts(entry.as_ptr().cast::<u8>(), ENTRY) };
    // struct linux_dirent64: inode, offset of the next entry, length, type, name.
    level.next = i64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?);
    CStr::from_bytes_until_nul(bytes.get(19..)?).ok().map(Some)
}

fn copy_one(from: RawFd, to: RawFd, name: &CStr, stat: &libc::stat) -> Option<()> {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => copy_file(from, to, name)?,
        libc::S_IFLNK => copy_link(from, to, name)?,
        _ => {
            // SAFETY: the name is null-terminated and one component of a path.
            ok(unsafe { libc::mknodat(to, name.as_ptr(), stat.st_mode, stat.st_rdev) }.into())?;
        }
    }
    restore(to, name, stat)
}

fn copy_file(from: RawFd, to: RawFd, name: &CStr) -> Option<()> {
    let source = open(from, name, libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK)?;
    let copied = open(to, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL).and_then(|target| {
        let copied = copy_bytes(source, target);
        let failed = errno();
        close(target);
        copied.or_else(|| fail(failed))
    });
    let failed = errno();
    close(source);
    copied.or_else(|| fail(failed))
}

fn copy_bytes(source: RawFd, target: RawFd) -> Option<()> {
    const AT_ONCE: usize = 1 << 30;
    loop {
        // SAFETY: takes integers; without an offset the descriptor's own counts.
        match unsafe { libc::sendfile(target, source, std::ptr::null_mut(), AT_ONCE) } {
            0 => return Some(()),
            1.. => {}
            _ => return None,
        }
    }
}

fn copy_link(from: RawFd, to: RawFd, name: &CStr) -> Option<()> {
    let mut text = [0u8; LINK + 1];
    // SAFETY: the name is null-terminated, the buffer has the size that is passed and ends with zero.
    unsafe {
        let buffer = text.as_mut_ptr();
        ok(syscall(libc::SYS_readlinkat, from, name.as_ptr(), buffer, LINK))?;
        ok(libc::symlinkat(text.as_ptr().cast(), to, name.as_ptr()).into())
    }
}

/// Gives a copy the owner, the mode and the times of what it was made from.
fn restore(to: RawFd, name: &CStr, stat: &libc::stat) -> Option<()> {
    let at = |seconds, nanoseconds| libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = [at(stat.st_atime, stat.st_atime_nsec), at(stat.st_mtime, stat.st_mtime_nsec)];
    let (name, flags) = (name.as_ptr(), libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: the name is null-terminated and the two times outlive the call.
    unsafe {
        ok(libc::fchownat(to, name, stat.st_uid, stat.st_gid, flags).into())?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFLNK {
            ok(libc::fchmodat(to, name, stat.st_mode & 0o7777, 0).into())?;
        }
        ok(libc::utimensat(to, name, times.as_ptr(), flags).into())
    }
}
