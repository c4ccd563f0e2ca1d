//! Protection of the running program's file against the containers it starts.
//!
//! A process whose root is the host's root user can open `/proc/PID/exe` of a runtime that enters
//! its container, and overwrite it (CVE-2019-5736). On a read-only mount that is attached nowhere
//! the file cannot be opened for writing.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::program::Strings;

/// `MOUNT_ATTR_RDONLY`.
const READ_ONLY: u64 = 1;

/// Executes this program again from a detached read-only mount of its file, with these arguments
/// and environment; returns only if it already runs from a read-only mount.
///
/// # Errors
/// Fails without `CAP_SYS_ADMIN` or as `open_tree`, `mount_setattr` (5.12) and `execveat` do.
pub fn protect(argv: Vec<CString>, env: Vec<CString>) -> io::Result<()> {
    // 1 is OPEN_TREE_CLONE.
    let flags = 1 | libc::O_CLOEXEC;
    let path = c"/proc/self/exe".as_ptr();
    // SAFETY: the path is a constant; statvfs is plain data that the call fills.
    let mount = unsafe {
        let mut info: libc::statvfs = std::mem::zeroed();
        check(libc::statvfs(path, &raw mut info).into())?;
        if info.f_flag & libc::ST_RDONLY != 0 {
            return Ok(());
        }
        let fd = check(libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path, flags))?;
        OwnedFd::from_raw_fd(fd as i32)
    };
    let attributes = [READ_ONLY, 0, 0, 0];
    let empty = c"".as_ptr();
    let (argv, env) = (Strings::new(argv), Strings::new(env));
    // SAFETY: the attributes have the layout of mount_attr version 0, 32 bytes; both arrays end
    // with a null pointer and outlive the call.
    unsafe {
        let (fd, at) = (mount.as_raw_fd(), libc::AT_EMPTY_PATH);
        let set = attributes.as_ptr();
        check(libc::syscall(libc::SYS_mount_setattr, fd, empty, at, set, 32usize))?;
        let (argv, env) = (argv.as_ptr(), env.as_ptr());
        check(libc::syscall(libc::SYS_execveat, fd, empty, argv, env, at))?;
    }
    Ok(())
}

fn check(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
