//! Namespaces by their files.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `NS_GET_NSTYPE` of `linux/nsfs.h` (Linux 4.11).
const GET_TYPE: libc::c_ulong = 0xb703;

/// The kind of a namespace, `CLONE_NEW*`.
///
/// # Errors
/// `ENOTTY` if the file is no namespace's.
pub fn kind(namespace: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: the request takes no argument.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), GET_TYPE as _) };
    u64::try_from(kind).map_err(|_| io::Error::last_os_error())
}
