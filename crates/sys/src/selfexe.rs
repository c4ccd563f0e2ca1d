//! Protection of the running program's file against the containers it starts.
//!
//! A process whose root is the host's root user can open `/proc/PID/exe` of a runtime that enters
//! its container, and overwrite it (CVE-2019-5736). On a read-only mount that is attached nowhere
//! the file cannot be opened for writing.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::mount::clone_detached;
use crate::program::Strings;

/// `MOUNT_ATTR_RDONLY`.
const READ_ONLY: u64 = 1;

/// Executes this program again from a detached read-only mount of its file, with these arguments
/// and environment; returns only if it already runs from a read-only mount.
///
/// # Errors
/// Fails without `CAP_SYS_ADMIN` or as `open_tree`, `mount_setattr` (5.12) and `execveat` do.
pub fn protect(argv: Vec<CString>, env: Vec<CString>) -> io::Result<()> {
    let Some(mount) = mount()? else { return Ok(()) };
    execute(&mount, argv, env)
}

/// Does what [`protect`] does and leaves the mount open for the new program, as the descriptor that
/// the variable `name` of its environment tells: no path leads to a detached mount. See
/// [`passed_mount`].
///
/// # Errors
/// As [`protect`].
pub fn protect_and_pass(argv: Vec<CString>, mut env: Vec<CString>, name: &str) -> io::Result<()> {
    let Some(mount) = mount()? else { return Ok(()) };
    // SAFETY: takes integers; the descriptor is this function's own.
    check(unsafe { libc::fcntl(mount.as_raw_fd(), libc::F_SETFD, 0) }.into())?;
    env.push(CString::new(format!("{name}={}", mount.as_raw_fd()))?);
    execute(&mount, argv, env)
}

/// The mount of this program's file that [`protect_and_pass`] has left open, given its number. The
/// number is not trusted: it must be open and of this program's file.
///
/// The mount can be attached once; `None` for a number that is not it.
#[must_use]
pub fn passed_mount(number: i32) -> Option<OwnedFd> {
    // SAFETY: takes integers; the new descriptor is owned by nobody else. stat is plain integers.
    unsafe {
        let fd = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        let mount = (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))?;
        let [mut found, mut own]: [libc::stat; 2] = std::mem::zeroed();
        let path = c"/proc/self/exe".as_ptr();
        let both = libc::fstat(fd, &raw mut found) == 0 && libc::stat(path, &raw mut own) == 0;
        let same = (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino);
        (both && same).then(|| {
            // What was inherited is for nobody else.
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
            mount
        })
    }
}

/// A detached read-only mount of this program's file, unless it is on a read-only one already.
fn mount() -> io::Result<Option<OwnedFd>> {
    let path = c"/proc/self/exe";
    // SAFETY: the path is a constant; statvfs is plain data that the call fills.
    let read_only = unsafe {
        let mut info: libc::statvfs = std::mem::zeroed();
        check(libc::statvfs(path.as_ptr(), &raw mut info).into())?;
        info.f_flag & libc::ST_RDONLY != 0
    };
    if read_only { Ok(None) } else { clone_detached(path, READ_ONLY).map(Some) }
}

fn execute(mount: &OwnedFd, argv: Vec<CString>, env: Vec<CString>) -> io::Result<()> {
    let (argv, env) = (Strings::new(argv), Strings::new(env));
    let (fd, empty, at) = (mount.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    let (argv, env) = (argv.as_ptr(), env.as_ptr());
    // SAFETY: the path is empty; both arrays end with a null pointer and outlive the call.
    check(unsafe { libc::syscall(libc::SYS_execveat, fd, empty, argv, env, at) }).map(drop)
}

fn check(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
