//! Removing a whole tree, however deep, with a bounded number of descriptors.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::{Errno, Result};

use super::dir::proc_path;

/// Directories held open at once. What is deeper is first moved up to the top.
const MAX_DEPTH: usize = 32;

/// A directory being emptied.
struct Level {
    fd: OwnedFd,
    /// Its name in the level above.
    name: OsString,
}

/// Removes `name` in `dir`, and if it is a directory, all that is in it.
pub(super) fn tree(dir: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        result => return result,
    }
    let mut levels = vec![Level { fd: open(dir, name)?, name: name.to_owned() }];
    let mut moved: u64 = 0;
    while let Some(level) = levels.last() {
        match first_dir_left(level.fd.as_fd())? {
            Some(child) if levels.len() < MAX_DEPTH => {
                let fd = open(level.fd.as_fd(), &child)?;
                levels.push(Level { fd, name: child });
            }
            Some(child) => {
                move_up(&levels, &child, &mut moved)?;
            }
            None => {
                let above = levels.iter().rev().nth(1).map_or(dir, |above| above.fd.as_fd());
                retry_writable(above, || {
                    rustix::fs::unlinkat(above, &level.name, AtFlags::REMOVEDIR)
                })?;
                levels.pop();
            }
        }
    }
    Ok(())
}

/// Removes what is no directory until there is a directory, which is returned; `None` when empty.
///
/// It stops at once, so that a directory of many directories is not read in full for each.
fn first_dir_left(dir: BorrowedFd<'_>) -> Result<Option<OsString>> {
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            return Ok(Some(name.to_owned()));
        }
        match retry_writable(dir, || rustix::fs::unlinkat(dir, name, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => {}
            // A file system that does not tell types, or a directory put in its place.
            Err(Errno::ISDIR) => return Ok(Some(name.to_owned())),
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}

/// Moves a directory from the deepest level to the top one, under a name that is free.
fn move_up(levels: &[Level], child: &OsStr, moved: &mut u64) -> Result<()> {
    let (Some(top), Some(deepest)) = (levels.first(), levels.last()) else { return Ok(()) };
    loop {
        *moved += 1;
        let name = format!(".creel-removed-{moved}");
        let rename = || {
            let flags = RenameFlags::NOREPLACE;
            rustix::fs::renameat_with(&deepest.fd, child, &top.fd, &name, flags)
        };
        match retry_writable(deepest.fd.as_fd(), rename) {
            Err(Errno::EXIST) => {}
            // To move a directory its own `..` is written too.
            Err(Errno::ACCESS) => make_writable(open(deepest.fd.as_fd(), child)?.as_fd())?,
            result => return result,
        }
    }
}

/// Opens a directory that is no link and on the same mount; one without read permission is given it.
fn open(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    match open_as(dir, name, OFlags::RDONLY) {
        Err(Errno::ACCESS) => {
            let fd = open_as(dir, name, OFlags::PATH)?;
            // fchmod(2) refuses O_PATH; the name in /proc reaches this very inode.
            rustix::fs::chmodat(CWD, proc_path(fd.as_fd()), Mode::RWXU, AtFlags::empty())?;
            open_as(dir, name, OFlags::RDONLY)
        }
        result => result,
    }
}

fn open_as(dir: BorrowedFd<'_>, name: &OsStr, access: OFlags) -> Result<OwnedFd> {
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS) => {
            let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
            let same = rustix::fs::fstat(&fd)?.st_dev == rustix::fs::fstat(dir)?.st_dev;
            if same { Ok(fd) } else { Err(Errno::XDEV) }
        }
        result => result,
    }
}

/// Runs `change`, and if `dir` does not let it, once more with `dir` made writable.
fn retry_writable<T>(dir: BorrowedFd<'_>, change: impl Fn() -> Result<T>) -> Result<T> {
    match change() {
        Err(Errno::ACCESS) => {
            make_writable(dir)?;
            change()
        }
        result => result,
    }
}

/// Only an owner may; anyone else is told what was wrong at first.
fn make_writable(dir: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fchmod(dir, Mode::RWXU).map_err(|_| Errno::ACCESS)
}
