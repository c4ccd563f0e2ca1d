//! This process's own user namespace.

use std::io;

/// Leaves the user and the mount namespace for new ones, in which this process has every capability
/// and, until its maps are written, no id.
///
/// # Errors
/// `EINVAL` in a process with threads; else as `unshare` does.
pub fn unshare_with_mounts() -> io::Result<()> {
    // SAFETY: takes flags.
    let done = unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The effective user and group id of this process.
#[must_use]
pub fn ids() -> [u32; 2] {
    // SAFETY: these calls take nothing and cannot fail.
    unsafe { [libc::geteuid(), libc::getegid()] }
}
