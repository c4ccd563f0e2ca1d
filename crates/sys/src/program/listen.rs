//! Filters whose notifications another process answers, and what a parent hears of its child.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use libc::syscall;

use super::call::{State, errno, fail, fd, ok};
use super::hook::{FailedHook, HookEnd};
use super::message;
use super::op::{Filter, Moment};
use super::run::wait_for_parent;
use super::{Failure, Running};

/// In a report: what follows is the process id of the sibling that continues.
pub(super) const MOVED: i32 = -1;
/// In a report: it comes with the listener of a filter.
const LISTENER: i32 = -2;
/// In a report: all is done but what [`super::Op::Hold`] waits with.
pub(super) const HELD: i32 = -3;
/// In a report: what follows is the process id of the sibling that continues once the parent knows.
pub(super) const PARTED: i32 = -4;
/// In a report: what follows is the [`Moment`] that the parent is waited for at.
const MEETS: i32 = -5;

/// What is done with the listener of a filter, given the child's id in this process's namespace;
/// returns how long the child may take from then on to execute its program, which whoever listens
/// decides about.
pub type Listen<'a> = &'a mut dyn FnMut(i32, OwnedFd) -> io::Result<Duration>;

/// What a parent does while its child waits: called with the child's id and the moment.
pub type Attend<'a> = &'a mut dyn FnMut(i32, Moment) -> io::Result<()>;

pub(super) fn meet(state: &State<'_>, moment: Moment) -> Option<()> {
    let message = [MEETS, moment as i32];
    // SAFETY: the buffer lives across the write.
    ok(unsafe { libc::write(state.report, message.as_ptr().cast(), 8) } as _)?;
    wait_for_parent(state.wait)
}

/// The [`Listen`] of a child whose filter has no listener.
///
/// # Errors
/// Fails in any case.
pub fn nobody(_: i32, _: OwnedFd) -> io::Result<Duration> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Loads a filter and sends its listener. From the first on, the filter decides about what this
/// process does, so the other must be let through by its last arguments.
pub(super) fn load(report: RawFd, filter: &[Filter], flags: u32, secret: [u64; 3]) -> Option<()> {
    let listener = fd(seccomp(filter, flags)?)?;
    // The filter may forbid to close it; `execve` does.
    message::send(report, [LISTENER, 0], listener, secret)
}

/// Loads a filter; returns the listener with `SECCOMP_FILTER_FLAG_NEW_LISTENER`, else zero.
pub(super) fn seccomp(filter: &[Filter], flags: u32) -> Option<i64> {
    let Ok(len) = u16::try_from(filter.len()) else { return fail(libc::EINVAL) };
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    let program = &raw const program;
    // SAFETY: the program points to `len` instructions. 1 is SECCOMP_SET_MODE_FILTER.
    let mut done = unsafe { syscall(libc::SYS_seccomp, 1, flags, program) };
    if done < 0 && flags == 0 && errno() == libc::ENOSYS {
        // A filter that was loaded before may know the older call only.
        let (mode, filter) = (libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER);
        // SAFETY: the program points to `len` instructions.
        done = unsafe { syscall(libc::SYS_prctl, mode, filter, program) };
    }
    (done >= 0).then_some(done)
}

/// Whether the kernel takes these `SECCOMP_FILTER_FLAG_*` together.
#[must_use]
pub fn knows_flags(flags: u32) -> bool {
    // SAFETY: the call looks at the flags before it reads the program, which is a null pointer and so
    // loads nothing.
    let done = unsafe { syscall(libc::SYS_seccomp, 1, flags, 0usize) };
    done < 0 && super::call::errno() == libc::EFAULT
}

/// Waits for what became of a program that [`super::Op::Hold`] held, on the connection that let it go.
/// `pid` is its process, which goes on running where `listen` fails or takes too long.
///
/// # Errors
/// [`Failure::Child`] with the index of the call that failed; [`Failure::Listener`].
pub fn released(connection: impl AsFd, pid: i32, listen: Listen<'_>) -> Result<(), Failure> {
    let mut until = None;
    loop {
        wait(&connection, until)?;
        match message::receive(&connection, 0)? {
            None => return Ok(()),
            Some(([LISTENER, _], Some(listener))) => until = Some(give(listen, pid, listener)?),
            Some((report, output)) => return Err(child(report, output)),
        }
    }
}

/// Reads reports until every process of the child has executed, ended or is held. A sibling may have
/// failed before the process that made it tells of it, and would stay a zombie if that were not heard.
pub(super) fn hear(
    report: &OwnedFd,
    running: &mut Running,
    (attend, mut go): (Attend<'_>, File),
    listen: Listen<'_>,
) -> Result<(), Failure> {
    let mut heard = Ok(());
    // The child may have failed before it waited: its report says more than EPIPE.
    let mut proceed = || drop(go.write(&[1]));
    let mut until = None;
    loop {
        wait(report, until)?;
        match message::receive(report, 0)? {
            None | Some(([HELD, _], _)) => return heard,
            Some(([MOVED, pid], _)) => running.follow(pid)?,
            Some(([PARTED, pid], _)) => {
                running.follow(pid)?;
                attend(pid, Moment::Moved)?;
                proceed();
            }
            Some(([MEETS, moment], _)) => {
                attend(running.pid, Moment::of(moment))?;
                proceed();
            }
            Some(([LISTENER, _], Some(listener))) => {
                until = Some(give(listen, running.pid, listener)?);
            }
            Some((report, output)) => heard = Err(child(report, output)),
        }
    }
}

/// Hands over a listener; returns until when the child may take.
fn give(listen: Listen<'_>, pid: i32, listener: OwnedFd) -> Result<Instant, Failure> {
    let patience = listen(pid, listener).map_err(Failure::Listener)?;
    Ok(Instant::now() + patience)
}

fn child([index, errno]: [i32; 2], evidence: Option<OwnedFd>) -> Failure {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if let Some(end) = HookEnd::of(errno) {
        return Failure::Hook(index, FailedHook { end, output: evidence });
    }
    let error = io::Error::from_raw_os_error(errno);
    match evidence {
        Some(found) => Failure::Obstructed(index, error, found),
        None => Failure::Child(index, error),
    }
}

/// Waits for a report, until some time if one is given: the child waits for whoever has the listener,
/// and this process must not wait for ever for both.
fn wait(report: impl AsFd, until: Option<Instant>) -> Result<(), Failure> {
    let Some(until) = until else { return Ok(()) };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let fd = report.as_fd().as_raw_fd();
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: takes one pollfd, which outlives the call.
        match unsafe { libc::poll(&raw mut poll, 1, left) } {
            0 => return Err(Failure::Listener(io::ErrorKind::TimedOut.into())),
            1 => return Ok(()),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error.into());
                }
            }
        }
    }
}
