//! A process that stays behind to reap, and tells how the one ended that has gone on.

use std::os::fd::RawFd;

use libc::{c_int, syscall};

use super::call::{State, close, close_others, errno, fail, ok};
use super::late::complete;
use super::op::{CapabilitySets, Supervisor};
use super::run::{prctl, set_capabilities};

/// What may stay open besides the standard descriptors: the status and eight others.
const KEPT: usize = 9;

/// Returns in a child; this process becomes its supervisor.
pub(super) fn leave(state: &mut State<'_>, supervisor: &Supervisor) -> Option<()> {
    let mut kept = [-1; KEPT];
    let slots = supervisor.status.iter().chain(&supervisor.kept);
    for (place, slot) in kept.iter_mut().zip(slots) {
        *place = state.get(*slot)?;
    }
    let status = supervisor.status.map_or(Some(-1), |slot| state.get(slot))?;
    // Before there is a child that could be faster. For that it ends with the execution of its program.
    prctl(libc::PR_SET_DUMPABLE, supervisor.inspectable.into())?;
    // SAFETY: clone_args is plain integers, for which zero is valid. The child has its own copy of this
    // memory, and this process ends without running handlers.
    let pid = unsafe {
        let mut args: libc::clone_args = std::mem::zeroed();
        args.exit_signal = libc::SIGCHLD as u64;
        syscall(libc::SYS_clone3, &raw const args, size_of_val(&args))
    };
    match pid {
        -1 => None,
        0 => {
            // It would hide that the supervisor is gone.
            close(status);
            Some(())
        }
        pid => {
            if supervisor.dies_with_parent && die_with_parent(state).is_none() {
                // SAFETY: ends this process, of which its child hears likewise.
                unsafe { libc::_exit(1) }
            }
            stay(pid as i32, status, supervisor, &mut kept)
        }
    }
}

/// Is killed when its parent ends, and fails if that has ended before: then nobody hears reports.
pub(super) fn die_with_parent(state: &State<'_>) -> Option<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as usize)?;
    let mut report = libc::pollfd { fd: state.report, events: 0, revents: 0 };
    // SAFETY: takes one pollfd, which outlives the call.
    ok(unsafe { libc::poll(&raw mut report, 1, 0) }.into())?;
    if report.revents == 0 { Some(()) } else { fail(libc::ECANCELED) }
}

/// Whatever fails here makes this process no more than it would be: it has nothing that its child has
/// not.
fn stay(child: i32, status: RawFd, supervisor: &Supervisor, kept: &mut [RawFd]) -> ! {
    let _ = close_others(3, kept);
    // The kernel wants a tracer to have what the other process has.
    if let Some(calls) = &supervisor.late
        && complete(child, calls).is_err()
    {
        // SAFETY: takes integers.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    let _ = set_capabilities(&CapabilitySets::default());
    let code = reap(child, status, supervisor.killed);
    // SAFETY: ends this process without running handlers of the parent's image.
    unsafe { libc::_exit(code) }
}

/// Reaps until there is no child; returns how the first one ended.
fn reap(first: i32, status: RawFd, killed: Option<c_int>) -> c_int {
    let mut code = 1;
    loop {
        let mut ended = 0;
        // SAFETY: the integer outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut ended, 0) };
        if pid == first {
            code = killed.filter(|_| libc::WIFSIGNALED(ended)).unwrap_or_else(|| code_of(ended));
            let byte = code as u8;
            // SAFETY: the buffer of one byte outlives the call. Nobody may be left to read it.
            unsafe { libc::write(status, (&raw const byte).cast(), 1) };
            close(status);
        }
        if pid < 0 && errno() != libc::EINTR {
            return code;
        }
    }
}

fn code_of(ended: c_int) -> c_int {
    if libc::WIFSIGNALED(ended) { 128 + libc::WTERMSIG(ended) } else { libc::WEXITSTATUS(ended) }
}
