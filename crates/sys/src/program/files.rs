//! Files and links that the child makes in its root.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::syscall;

use super::call::{State, close, errno, fail, fd, ok, open};
use super::op::Op;
use super::text::Link;

/// What is read at a time.
const BLOCK: usize = 16 << 10;

pub(super) fn run(op: &Op, state: &mut State<'_>) -> Option<()> {
    match op {
        Op::SameLink(text, dir, name) => link(state, text, state.get(*dir)?, name),
        Op::Mode(slot, mode) => {
            let path = Link::new(state.get(*slot)?);
            // SAFETY: the path is null-terminated and outlives the call.
            ok(unsafe { libc::chmod(path.text().as_ptr(), *mode) }.into())
        }
        Op::Fill(place, from) => {
            let path = Link::new(state.get(*place)?);
            let file = open(libc::AT_FDCWD, path.text(), libc::O_WRONLY | libc::O_TRUNC, 0)?;
            let copied = copy(state.get(*from)?, file);
            let failed = errno();
            close(file);
            copied.or_else(|| fail(failed))
        }
        Op::ShareLock(path, out) => {
            let file = open(libc::AT_FDCWD, path, libc::O_RDONLY, 0)?;
            state.set(*out, file)?;
            // SAFETY: flock is plain data; all zero is the whole file, as it will ever be.
            unsafe {
                let mut lock: libc::flock = std::mem::zeroed();
                lock.l_type = libc::F_RDLCK as _;
                lock.l_whence = libc::SEEK_SET as _;
                ok(libc::fcntl(file, libc::F_SETLK, &raw const lock).into())
            }
        }
        _ => fail(libc::ENOSYS),
    }
}

fn link(state: &mut State<'_>, text: &CStr, dir: RawFd, name: &CStr) -> Option<()> {
    // SAFETY: both strings are null-terminated and outlive the call.
    let made = unsafe { libc::symlinkat(text.as_ptr(), dir, name.as_ptr()) };
    if made == 0 || errno() != libc::EEXIST {
        return ok(made.into());
    }
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let mut there = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the strings are null-terminated, and the buffer has the size that is passed.
    let (found, length) = unsafe {
        let found = fd(syscall(libc::SYS_openat, dir, name.as_ptr(), flags, 0))?;
        let (empty, buffer) = (c"".as_ptr(), there.as_mut_ptr());
        (found, syscall(libc::SYS_readlinkat, found, empty, buffer, there.len()))
    };
    let there = usize::try_from(length).ok().and_then(|length| there.get(..length));
    if there == Some(text.to_bytes()) {
        close(found);
        return Some(());
    }
    state.evidence = found;
    fail(libc::EEXIST)
}

/// Copies all that can be read, from whatever kind of file.
fn copy(from: RawFd, to: RawFd) -> Option<()> {
    let mut block = [0u8; BLOCK];
    loop {
        // SAFETY: the buffer has the size that is passed.
        let read = unsafe { libc::read(from, block.as_mut_ptr().cast(), block.len()) };
        match usize::try_from(read) {
            Ok(0) => return Some(()),
            Ok(length) => write(to, block.get(..length)?)?,
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return None,
        }
    }
}

fn write(to: RawFd, mut rest: &[u8]) -> Option<()> {
    while !rest.is_empty() {
        // SAFETY: the buffer has the size that is passed.
        let written = unsafe { libc::write(to, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(written) {
            Ok(length) => rest = rest.get(length..)?,
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return None,
        }
    }
    Some(())
}
