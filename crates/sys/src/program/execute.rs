//! The end of a program: finding it, waiting for who starts it, executing it.

use std::ffi::CString;

use libc::{c_int, syscall};

use super::Slot;
use super::call::{State, close, errno, fail, fd, high, ok};
use super::op::Strings;

/// Tries the paths in turn as `execvp` does: one that is missing or not to be executed is passed over.
fn each(paths: &[CString], mut attempt: impl FnMut(&CString) -> Option<()>) -> Option<()> {
    let mut failed = libc::ENOENT;
    for path in paths {
        if attempt(path).is_some() {
            return Some(());
        }
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => failed = libc::EACCES,
            other => return fail(other),
        }
    }
    fail(failed)
}

pub(super) fn execute(paths: &[CString], argv: &Strings, env: &Strings) -> Option<()> {
    each(paths, |path| {
        // SAFETY: the path is null-terminated and both arrays end with a null pointer.
        ok(unsafe { syscall(libc::SYS_execve, path.as_ptr(), argv.as_ptr(), env.as_ptr()) })
    })
}

/// The kernel reads the last three arguments nowhere but in a filter.
pub(super) fn execute_past(
    path: &CString,
    argv: &Strings,
    env: &Strings,
    [a, b, c]: [u64; 3],
) -> Option<()> {
    let (path, argv, env) = (path.as_ptr(), argv.as_ptr(), env.as_ptr());
    // SAFETY: the path is null-terminated and both arrays end with a null pointer; the rest is integers.
    ok(unsafe { syscall(libc::SYS_execve, path, argv, env, a, b, c) })
}

pub(super) fn find(paths: &[CString]) -> Option<()> {
    each(paths, |path| {
        // SAFETY: stat is plain data, the path is null-terminated, and both outlive the calls.
        let stat = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            ok(libc::stat(path.as_ptr(), &raw mut stat).into())?;
            let flags = libc::AT_EACCESS;
            ok(libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, flags).into())?;
            stat
        };
        if stat.st_mode & libc::S_IFMT == libc::S_IFREG { Some(()) } else { fail(libc::EACCES) }
    })
}

/// Lets those signals end this process that ask for it: the first one of a process namespace gets only
/// what it has handlers for (`sig_task_ignored`, kernel/signal.c). Executing drops the handlers.
fn end_when_told() {
    extern "C" fn end(signal: c_int) {
        // SAFETY: ends this process without running handlers of the parent's image.
        unsafe { libc::_exit(128 + signal) }
    }
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler calls nothing but `_exit`, which is async-signal-safe, and stays valid
        // until another program is executed, which has none of the handlers.
        unsafe { libc::signal(signal, end as extern "C" fn(c_int) as libc::sighandler_t) };
    }
}

pub(super) fn hold(state: &mut State, listener: Slot) -> Option<()> {
    let socket = state.get(listener)?;
    end_when_told();
    let message = [super::listen::HELD, 0];
    // SAFETY: the buffer lives across the write.
    ok(unsafe { libc::write(state.report, message.as_ptr().cast(), 8) } as _)?;
    let connection = loop {
        // SAFETY: takes integers and null pointers, which ask for no address.
        let accepted =
            unsafe { syscall(libc::SYS_accept4, socket, 0usize, 0usize, libc::SOCK_CLOEXEC) };
        // Whoever connected may have gone again.
        let again: [c_int; 2] = [libc::EINTR, libc::ECONNABORTED];
        match fd(accepted) {
            None if again.contains(&errno()) => {}
            accepted => break accepted?,
        }
    };
    let report = high(connection)?;
    close(connection);
    close(std::mem::replace(&mut state.report, report));
    state.forget(listener);
    Some(())
}
