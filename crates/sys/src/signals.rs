//! Signals of this process as something to poll.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Signals that wait to be read instead of interrupting.
///
/// They are blocked in the calling thread for as long as this lives, so it is made before other
/// threads are. A child started by [`crate::program`] has none of them blocked.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    before: libc::sigset_t,
}

impl Signals {
    /// Begins to gather the signals with these numbers.
    ///
    /// # Errors
    /// Fails as `sigaddset` and `signalfd` do.
    pub fn gather(numbers: &[i32]) -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set, sigaddset changes it; the mask call reads it and
        // initialises `before`; signalfd returns a descriptor that nothing else owns.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for number in numbers {
                check(libc::sigaddset(set.as_mut_ptr(), *number))?;
            }
            let set = set.assume_init();
            let failed =
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr());
            if failed != 0 {
                return Err(io::Error::from_raw_os_error(failed));
            }
            let before = before.assume_init();
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            match check(libc::signalfd(-1, &raw const set, flags)) {
                Ok(fd) => Ok(Self { fd: OwnedFd::from_raw_fd(fd), before }),
                Err(error) => {
                    libc::pthread_sigmask(
                        libc::SIG_SETMASK,
                        &raw const before,
                        std::ptr::null_mut(),
                    );
                    Err(error)
                }
            }
        }
    }

    /// Returns the number of the next signal that has come; `None` when there is none.
    ///
    /// # Errors
    /// Fails as `read` does.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes whole structures of plain integers into a buffer for one.
        let (read, info) = unsafe {
            let read = libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size);
            (read, info.assume_init())
        };
        if read < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        Ok(i32::try_from(info.ssi_signo).ok())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: `before` is a mask that the kernel gave.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut());
        }
    }
}

/// Lets children be waited for, where who started this program had them ignored (`SIGCHLD`).
pub fn notice_children() {
    // SAFETY: SIG_DFL is a valid disposition and no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Has this process killed when its parent ends.
///
/// # Errors
/// Fails as `prctl` does.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: the option takes an integer.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_waits_to_be_read() {
        let signals = Signals::gather(&[libc::SIGUSR2]).unwrap();
        assert_eq!(signals.next().unwrap(), None);
        // SAFETY: takes an integer; the signal is blocked in this thread, to which it is sent.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR2));
        assert!(Signals::gather(&[0]).is_err());
    }
}
