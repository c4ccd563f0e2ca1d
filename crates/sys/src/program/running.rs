//! A started child, as its parent sees it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A started child.
#[derive(Debug)]
pub struct Running {
    /// The process id in the caller's namespace.
    pub pid: i32,
    /// The pidfd.
    pub pidfd: OwnedFd,
    /// The descriptor that the child has sent, if it was to: the master of its terminal.
    pub sent: Option<OwnedFd>,
}

impl Running {
    /// Sends a signal through the pidfd.
    ///
    /// # Errors
    /// Fails as `pidfd_send_signal` does.
    pub fn kill(&self, signal: i32) -> io::Result<()> {
        send_signal(self.pidfd.as_fd(), signal)
    }

    /// Waits for the end: the exit code, or 128 plus the signal.
    ///
    /// # Errors
    /// Fails as `waitid` does.
    pub fn wait(&self) -> io::Result<i32> {
        let (status, signalled) = self.wait_status()?;
        Ok(if signalled { 128 + status } else { status })
    }

    /// Waits for the end: the exit code, or a signal and `true`.
    ///
    /// # Errors
    /// Fails as `waitid` does.
    pub fn wait_status(&self) -> io::Result<(i32, bool)> {
        loop {
            // SAFETY: siginfo_t is plain data; waitid fills it and si_status is set for children.
            let (done, code, status) = unsafe {
                let mut info: libc::siginfo_t = std::mem::zeroed();
                let done = libc::waitid(
                    libc::P_PIDFD,
                    self.pidfd.as_raw_fd() as u32,
                    &raw mut info,
                    libc::WEXITED,
                );
                (done, info.si_code, info.si_status())
            };
            if done == 0 {
                return Ok((status, code != libc::CLD_EXITED));
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Reaps the process that has handed over and continues with the sibling it made. That is a
    /// child of this process, so its id cannot be used again before it is waited for.
    pub(super) fn follow(&mut self, pid: i32) -> io::Result<()> {
        self.wait()?;
        self.pidfd = open_process(pid)?;
        self.pid = pid;
        Ok(())
    }
}

/// Opens a process by its id in the caller's namespace as a pidfd.
///
/// # Errors
/// Fails as `pidfd_open` (5.3) does.
pub fn open_process(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes integers; a descriptor returned is new and nothing else owns it.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// Sends a signal through a pidfd.
///
/// # Errors
/// Fails as `pidfd_send_signal` does.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: takes integers and a null siginfo, which is allowed.
    let done =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0usize, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Raises the soft and hard limit of a resource (`RLIMIT_*`) of a process to at least these.
///
/// # Errors
/// Fails as `prlimit` does.
pub fn raise_limit(pid: i32, resource: u32, [soft, hard]: [u64; 2]) -> io::Result<()> {
    let mut old = [0u64; 2];
    // SAFETY: both arrays have the layout of rlimit64.
    let done = unsafe {
        let got = libc::syscall(libc::SYS_prlimit64, pid, resource, 0usize, old.as_mut_ptr());
        let limit = [soft.max(old[0]), hard.max(old[1])];
        if got == 0 && limit != old {
            libc::syscall(libc::SYS_prlimit64, pid, resource, limit.as_ptr(), 0usize)
        } else {
            got
        }
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to a process by its id, which the caller knows not to be used again.
///
/// # Errors
/// Fails as `kill` does.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes integers.
    let done = unsafe { libc::kill(pid, signal) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
