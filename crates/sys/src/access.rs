//! Questions about access, by the effective ids and capabilities of this process.

use std::ffi::CString;
use std::path::Path;

/// Whether this process may write to a file or directory that exists.
#[must_use]
pub fn writable(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_encoded_bytes()) else { return false };
    let (mode, flags) = (libc::W_OK, libc::AT_EACCESS);
    // SAFETY: the path is null-terminated and outlives the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, flags) == 0 }
}
