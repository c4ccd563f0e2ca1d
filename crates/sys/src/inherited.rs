//! Descriptors that this process was started with.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Duplicates a descriptor that is known by its number only.
///
/// # Errors
/// `EBADF` if there is none.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes integers; a descriptor returned is new and nothing else owns it.
    unsafe {
        let made = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        if made < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(made)) }
    }
}
