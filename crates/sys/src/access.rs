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

/// Whether the program's file gave this process privileges that its caller lacks: a set-user-id or
/// set-group-id bit, capabilities of the file (`AT_SECURE` of `getauxval(3)`).
#[must_use]
pub fn is_elevated() -> bool {
    // SAFETY: takes an integer.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The capabilities that are in effect, as bits.
///
/// # Errors
/// Fails as `capget` does.
pub fn effective_capabilities() -> std::io::Result<u64> {
    // _LINUX_CAPABILITY_VERSION_3 and this thread; then the three low words and the three high.
    let header = [0x2008_0522u32, 0];
    let mut words = [0u32; 6];
    // SAFETY: the header and the two user_cap_data_struct have the layout of version 3.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), words.as_mut_ptr()) };
    let [low, _, _, high, ..] = words.map(u64::from);
    if got == 0 { Ok(low | high << 32) } else { Err(std::io::Error::last_os_error()) }
}
