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

/// Duplicates a descriptor that was inherited for this process and for no other. The one with that number
/// is closed, if it is none of the three standard ones and was inherited (see [`close_all_but`]); those are
/// closed when a program is executed.
///
/// # Errors
/// `EBADF` if there is none.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    let taken = duplicate(number)?;
    // SAFETY: takes integers; nobody in this process owns what was inherited, and for the others the
    // flag changes something at an execution only.
    unsafe {
        if number > 2 && libc::fcntl(number, libc::F_GETFD) == 0 {
            libc::close(number);
        } else if libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(taken)
}

/// Closes every inherited descriptor above 2 but those with these numbers. Going by `/proc/self/fd`:
/// those that are closed on execution stay, because nothing here opens others, so what is left was
/// inherited and has no owner in this process.
///
/// # Errors
/// Fails where `/proc` is not there.
pub fn close_all_but(kept: &[RawFd]) -> io::Result<()> {
    let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number > 2 && !kept.contains(number)) {
        // SAFETY: takes integers; see above for why nobody owns the descriptor.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) == 0 {
                libc::close(number);
            }
        }
    }
    Ok(())
}
