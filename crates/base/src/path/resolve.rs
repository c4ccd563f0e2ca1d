//! Opening a path without leaving a directory.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

/// What a path may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only what is below the directory: absolute paths and links, and `..` above it, are EXDEV.
    Beneath,
    /// The directory is taken as `/`, as chroot(2) would: absolute links start at it and `..`
    /// stops at it. For the insides of containers.
    InRoot,
    /// As [`Scope::Beneath`], and any symbolic link is ELOOP.
    NoLinks,
}

/// The kernel gives EAGAIN when something was renamed during the walk; each retry is a full one.
const RETRIES: u32 = 128;
/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// Opens `path` in `dir`; never through `/proc`'s magic links.
pub(super) fn open(
    dir: BorrowedFd<'_>,
    path: &Path,
    scope: Scope,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    let resolve = match scope {
        Scope::Beneath => ResolveFlags::BENEATH,
        Scope::InRoot => ResolveFlags::IN_ROOT,
        Scope::NoLinks => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    } | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RETRIES {
        match rustix::fs::openat2(dir, path, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => return Walk::new(dir, scope)?.open(path, flags, mode),
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// The same without openat2: one part at a time, links read and followed by hand.
///
/// `..` goes back to a descriptor that is held, not to a parent asked for, so a directory moved
/// away meanwhile does not lead out.
pub(super) struct Walk {
    scope: Scope,
    /// The starting directory, then every directory entered.
    stack: Vec<OwnedFd>,
    links: u32,
}

impl Walk {
    pub(super) fn new(dir: BorrowedFd<'_>, scope: Scope) -> Result<Self> {
        Ok(Self { scope, stack: vec![enter(dir, OsStr::new("."))?], links: 0 })
    }

    pub(super) fn open(mut self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        if path.as_os_str().is_empty() {
            return Err(Errno::NOENT);
        }
        let mut parts = VecDeque::new();
        self.push(&mut parts, path)?;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                self.up()?;
                continue;
            }
            let last = parts.is_empty();
            let follow = !(last && flags.contains(OFlags::NOFOLLOW));
            match self.look(&part) {
                Ok(Some(target)) if follow => self.follow(&mut parts, &target)?,
                Ok(_) | Err(Errno::NOENT) if last => {
                    return rustix::fs::openat(self.top()?, &part, flags | OFlags::NOFOLLOW, mode);
                }
                Ok(_) => {
                    let next = enter(self.top()?, &part)?;
                    self.stack.push(next);
                }
                Err(errno) => return Err(errno),
            }
        }
        rustix::fs::openat(self.top()?, ".", flags & !OFlags::NOFOLLOW, mode)
    }

    fn top(&self) -> Result<BorrowedFd<'_>> {
        self.stack.last().map(|fd| fd.as_fd()).ok_or(Errno::NOENT)
    }

    fn up(&mut self) -> Result<()> {
        match (self.stack.len(), self.scope) {
            (..=1, Scope::InRoot) => Ok(()),
            (..=1, _) => Err(Errno::XDEV),
            _ => {
                self.stack.pop();
                Ok(())
            }
        }
    }

    /// Returns the target if `part` is a symbolic link.
    fn look(&self, part: &OsStr) -> Result<Option<OsString>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.top()?, part, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        let target = rustix::fs::readlinkat(&fd, "", Vec::new())?;
        Ok(Some(OsString::from_vec(target.into_bytes())))
    }

    fn follow(&mut self, parts: &mut VecDeque<OsString>, target: &OsStr) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS || self.scope == Scope::NoLinks {
            return Err(Errno::LOOP);
        }
        self.push(parts, Path::new(target))
    }

    /// Puts the parts of `path` before those still to go.
    fn push(&mut self, parts: &mut VecDeque<OsString>, path: &Path) -> Result<()> {
        if path.is_absolute() {
            if self.scope != Scope::InRoot {
                return Err(Errno::XDEV);
            }
            self.stack.truncate(1);
        }
        let named = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        for part in named.rev() {
            parts.push_front(part.as_os_str().to_owned());
        }
        Ok(())
    }
}

fn enter(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}
