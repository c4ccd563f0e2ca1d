//! Walks below a root by single names, as `openat2` does them: for what is to be made on the way, and
//! for where that call is missing (before Linux 5.6, or kept back by a filter).
//!
//! Links are read and followed by hand, inside the root, and never those of `/proc` by what they stand
//! for. `..` goes back to a directory that is held open, so that one which is moved away meanwhile does
//! not lead out. Nothing is allocated: the child of a process with threads walks.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::{c_int, syscall};

use super::call::{close, create, errno, fail, fd, stat};

/// As many links as the kernel follows (`path_resolution(7)`).
const MAX_LINKS: u32 = 40;
/// The most directories that are held open.
const MAX_DEPTH: usize = 256;
/// What is still to be walked: a path and a link in it.
const ROOM: usize = 2 * libc::PATH_MAX as usize;
/// `NAME_MAX` with its end.
const NAME: usize = 256;

/// What is done about names that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It fails.
    Fail,
    /// They are made, with permission bits.
    Made {
        /// Whether the last is a directory, and not an empty file.
        directory: bool,
        /// Of the last.
        mode: u32,
        /// Of those before it, directories all.
        parents: u32,
    },
}

/// Whether links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

/// Opens a path in a root with `O_PATH`, and makes what is missing.
pub(super) fn in_root(root: RawFd, path: &CStr, missing: Missing) -> Option<RawFd> {
    Walk::new(root, path, Links::Followed)?.run(missing)
}

/// What `openat2` does with these flags: without `RESOLVE_*` those of `openat`, with `O_PATH` all, and
/// to read or write only where no links are followed.
pub(super) fn open(dir: RawFd, path: &CStr, flags: c_int, resolve: u64) -> Option<RawFd> {
    if resolve == 0 {
        return at(dir, path, flags);
    }
    let links =
        if resolve & libc::RESOLVE_NO_SYMLINKS == 0 { Links::Followed } else { Links::Refused };
    let last_only = libc::O_PATH | libc::O_NOFOLLOW;
    if flags & last_only == last_only && path.to_bytes() == b"." {
        return at(dir, path, flags);
    }
    if flags & last_only == libc::O_PATH {
        let found = Walk::new(dir, path, links)?.run(Missing::Fail)?;
        return directory_if(found, flags & libc::O_DIRECTORY != 0);
    }
    if links == Links::Followed && flags & libc::O_NOFOLLOW == 0 {
        return fail(libc::ENOSYS);
    }
    let (mut walk, mut name) = (Walk::new(dir, path, links)?, [0; NAME]);
    let opened = walk.until_last(&mut name).and_then(|()| {
        let name = CStr::from_bytes_until_nul(&name).ok();
        at(walk.here()?, name?, flags | libc::O_NOFOLLOW)
    });
    walk.close(opened)
}

fn directory_if(found: RawFd, wanted: bool) -> Option<RawFd> {
    if !wanted || is(found, libc::S_IFDIR)? {
        return Some(found);
    }
    close(found);
    fail(libc::ENOTDIR)
}

fn is(fd: RawFd, kind: u32) -> Option<bool> {
    Some(stat(fd)?.st_mode & libc::S_IFMT == kind)
}

fn at(dir: RawFd, name: &CStr, flags: c_int) -> Option<RawFd> {
    // SAFETY: the name is null-terminated.
    fd(unsafe { syscall(libc::SYS_openat, dir, name.as_ptr(), flags | libc::O_CLOEXEC, 0) })
}

struct Walk {
    links: Links,
    followed: u32,
    /// The directories entered; the root is the first.
    stack: [RawFd; MAX_DEPTH],
    depth: usize,
    /// What is still to be walked is what follows `start`.
    room: [u8; ROOM],
    start: usize,
}

impl Walk {
    fn new(root: RawFd, path: &CStr, links: Links) -> Option<Self> {
        let mut walk = Self {
            links,
            followed: 0,
            stack: [-1; MAX_DEPTH],
            depth: 0,
            room: [0; ROOM],
            start: ROOM,
        };
        walk.put(path.to_bytes())?;
        walk.enter(at(root, c".", libc::O_PATH)?)?;
        Some(walk)
    }

    fn run(mut self, missing: Missing) -> Option<RawFd> {
        let done = self.walk(missing);
        let found = done.and_then(|()| self.here());
        if found.is_some() {
            self.depth -= 1;
        }
        self.close(found)
    }

    /// Ends the walk; the error that there was stays.
    fn close(&mut self, result: Option<RawFd>) -> Option<RawFd> {
        let failed = errno();
        self.stack.iter().take(self.depth).for_each(|fd| close(*fd));
        self.depth = 0;
        result.or_else(|| fail(failed))
    }

    fn walk(&mut self, missing: Missing) -> Option<()> {
        let mut name = [0; NAME];
        while self.next(&mut name)? {
            self.step(CStr::from_bytes_until_nul(&name).ok()?, missing)?;
        }
        Some(())
    }

    /// Walks up to the last name, which is none that leads back.
    fn until_last(&mut self, name: &mut [u8; NAME]) -> Option<()> {
        if !self.next(name)? {
            return fail(libc::EINVAL);
        }
        while !self.is_at_end() {
            self.step(CStr::from_bytes_until_nul(name).ok()?, Missing::Fail)?;
            self.next(name)?;
        }
        match CStr::from_bytes_until_nul(name).ok()?.to_bytes() {
            b"." | b".." => fail(libc::EINVAL),
            _ => Some(()),
        }
    }

    fn here(&self) -> Option<RawFd> {
        self.depth.checked_sub(1).and_then(|last| self.stack.get(last).copied())
    }

    fn rest(&self) -> &[u8] {
        self.room.get(self.start..).unwrap_or_default()
    }

    fn is_at_end(&self) -> bool {
        self.rest().iter().all(|byte| *byte == b'/')
    }

    /// Puts a path in front of what is still to be walked.
    fn put(&mut self, path: &[u8]) -> Option<()> {
        let Some(start) = self.start.checked_sub(path.len() + 1) else {
            return fail(libc::ENAMETOOLONG);
        };
        let end = start + path.len();
        self.room.get_mut(start..end)?.copy_from_slice(path);
        *self.room.get_mut(end)? = b'/';
        self.start = start;
        Some(())
    }

    /// Takes the next name, with a null byte behind it; false at the end.
    fn next(&mut self, name: &mut [u8; NAME]) -> Option<bool> {
        let skipped = self.rest().iter().take_while(|byte| **byte == b'/').count();
        self.start += skipped;
        let length = self.rest().iter().take_while(|byte| **byte != b'/').count();
        if length >= NAME {
            return fail(libc::ENAMETOOLONG);
        }
        name.get_mut(..length)?.copy_from_slice(self.rest().get(..length)?);
        *name.get_mut(length)? = 0;
        self.start += length;
        Some(length > 0)
    }

    fn step(&mut self, name: &CStr, missing: Missing) -> Option<()> {
        match name.to_bytes() {
            b"." => return Some(()),
            b".." => {
                self.leave();
                return Some(());
            }
            _ => {}
        }
        let next = self.look(name, missing)?;
        match is(next, libc::S_IFLNK) {
            Some(true) => self.follow(next),
            Some(false) => self.enter(next),
            None => None,
        }
    }

    fn look(&self, name: &CStr, missing: Missing) -> Option<RawFd> {
        let (here, flags) = (self.here()?, libc::O_PATH | libc::O_NOFOLLOW);
        let Missing::Made { directory, mode, parents } = missing else {
            return at(here, name, flags);
        };
        match at(here, name, flags) {
            None if errno() == libc::ENOENT => {}
            found => return found,
        }
        if self.is_at_end() {
            create(here, name, directory, mode)?;
        } else {
            create(here, name, true, parents)?;
        }
        at(here, name, flags)
    }

    fn leave(&mut self) {
        if self.depth > 1 {
            self.depth -= 1;
            close(self.stack.get(self.depth).copied().unwrap_or(-1));
        }
    }

    fn enter(&mut self, next: RawFd) -> Option<()> {
        let Some(place) = self.stack.get_mut(self.depth) else {
            close(next);
            return fail(libc::ENAMETOOLONG);
        };
        *place = next;
        self.depth += 1;
        Some(())
    }

    fn follow(&mut self, link: RawFd) -> Option<()> {
        let mut text = [0u8; libc::PATH_MAX as usize];
        // SAFETY: the path is empty and the buffer has the size that is passed.
        let read = unsafe {
            let (empty, buffer) = (c"".as_ptr(), text.as_mut_ptr());
            syscall(libc::SYS_readlinkat, link, empty, buffer, text.len())
        };
        let failed = errno();
        close(link);
        self.followed += 1;
        if self.links == Links::Refused || self.followed > MAX_LINKS {
            return fail(libc::ELOOP);
        }
        let Ok(length) = usize::try_from(read) else { return fail(failed) };
        let text = text.get(..length)?;
        if text.first() == Some(&b'/') {
            while self.depth > 1 {
                self.leave();
            }
        }
        self.put(text)
    }
}
