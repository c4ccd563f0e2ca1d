//! Programs that a child runs on its way to its own.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use libc::{c_int, syscall};

use super::call::{State, close, close_others, errno, fail, fd, ok};
use super::op::Hook;

/// How a hook ended that did not do its work.
#[derive(Debug)]
pub enum HookEnd {
    /// It could not be executed.
    NotRun(io::Error),
    /// With an exit code.
    Exited(i32),
    /// By a signal.
    Killed(i32),
    /// It was killed because it took too long.
    TimedOut,
}

/// In the place of an error number: how a hook ended, in two more decimal places than a value has.
const END: c_int = 1 << 16;
const NOT_RUN: c_int = END;
const EXITED: c_int = 2 * END;
const KILLED: c_int = 3 * END;
const TIMED_OUT: c_int = 4 * END;

impl HookEnd {
    /// What an error number stands for, if it stands for the end of a hook.
    pub(super) fn of(number: c_int) -> Option<Self> {
        let value = number % END;
        Some(match number - value {
            NOT_RUN => Self::NotRun(io::Error::from_raw_os_error(value)),
            EXITED => Self::Exited(value),
            KILLED => Self::Killed(value),
            TIMED_OUT => Self::TimedOut,
            _ => return None,
        })
    }
}

/// What a hook printed, and why it failed.
#[derive(Debug)]
pub struct FailedHook {
    /// How it ended.
    pub end: HookEnd,
    /// What it printed, if that could be handed over.
    pub output: Option<OwnedFd>,
}

/// Runs a hook to its end.
pub(super) fn run(state: &mut State<'_>, hook: &Hook) -> Option<()> {
    let [input, output] = [state.get(hook.state)?, state.get(hook.output)?];
    let failed = match attend(hook, input, output) {
        Some(0) => return Some(()),
        Some(end) => end,
        None => NOT_RUN + errno(),
    };
    state.evidence = output;
    fail(failed)
}

/// Returns zero or what failed.
fn attend(hook: &Hook, input: RawFd, output: RawFd) -> Option<c_int> {
    let mut ends: [c_int; 2] = [-1; 2];
    // SAFETY: the call fills two descriptors.
    ok(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    let [failure, told] = ends;
    // Not `clone3`: a filter that is loaded by then may know `clone` only.
    // SAFETY: without CLONE_VM the new process has its own copy of this memory.
    let pid = unsafe { syscall(libc::SYS_clone, libc::SIGCHLD, 0usize, 0usize, 0usize, 0usize) };
    if pid == 0 {
        let _ = execute(hook, [input, output, told]);
        let why = errno();
        // SAFETY: the buffer lives across the write; then this process ends without handlers.
        unsafe {
            libc::write(told, (&raw const why).cast(), size_of_val(&why));
            libc::_exit(127)
        }
    }
    close(told);
    let pid = fd(pid)?;
    let mut why = 0;
    // SAFETY: the buffer outlives the call.
    let got = unsafe { libc::read(failure, (&raw mut why).cast(), size_of_val(&why)) };
    close(failure);
    let in_time = wait_until(pid, hook.timeout);
    let ended = wait(pid)?;
    Some(match (got, in_time) {
        (1.., _) => NOT_RUN + why,
        (_, false) => TIMED_OUT,
        _ if libc::WIFSIGNALED(ended) => KILLED + libc::WTERMSIG(ended),
        _ if libc::WEXITSTATUS(ended) == 0 => 0,
        _ => EXITED + libc::WEXITSTATUS(ended),
    })
}

fn execute(hook: &Hook, [input, output, told]: [RawFd; 3]) -> Option<()> {
    // SAFETY: takes integers; the path is null-terminated and both arrays end with a null pointer.
    unsafe {
        libc::lseek(input, 0, libc::SEEK_SET);
        ok(libc::dup2(input, 0).into())?;
        ok(libc::dup2(output, 1).into())?;
        ok(libc::dup2(output, 2).into())?;
        close_others(3, &mut [told])?;
        let (argv, env) = (hook.argv.as_ptr(), hook.env.as_ptr());
        ok(syscall(libc::SYS_execve, hook.path.as_ptr(), argv, env))
    }
}

/// Whether the process ends in time, in milliseconds; it is killed if not.
fn wait_until(pid: c_int, timeout: Option<c_int>) -> bool {
    let Some(timeout) = timeout else { return true };
    // SAFETY: takes integers, and one pollfd that outlives the call.
    unsafe {
        let Some(process) = fd(syscall(libc::SYS_pidfd_open, pid, 0)) else { return true };
        let mut poll = libc::pollfd { fd: process, events: libc::POLLIN, revents: 0 };
        let ended = libc::poll(&raw mut poll, 1, timeout) != 0;
        close(process);
        if !ended {
            libc::kill(pid, libc::SIGKILL);
        }
        ended
    }
}

fn wait(pid: c_int) -> Option<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: the status outlives the call.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
            return Some(status);
        }
        if errno() != libc::EINTR {
            return None;
        }
    }
}
