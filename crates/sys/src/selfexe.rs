//! Protection of the running program's file against the containers it starts.
//!
//! A process whose root is the host's root user can open `/proc/PID/exe` of a runtime that enters
//! its container, and overwrite it (CVE-2019-5736). On a read-only mount that is attached nowhere
//! the file cannot be opened for writing. Where such mounts cannot be made, a copy in memory that
//! nothing can change any more is executed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::mount::clone_detached;
use crate::program::{Attributes, Depth, Failure, Op, Program, Strings};

/// `MOUNT_ATTR_RDONLY`.
const READ_ONLY: u64 = 1;
/// The running program.
const RUNNING: &CStr = c"/proc/self/exe";

/// Executes this program again from a detached read-only mount of its file, with these arguments
/// and environment; returns only if it already runs from a read-only mount.
///
/// # Errors
/// Fails without `CAP_SYS_ADMIN` or as `open_tree`, `mount_setattr` (5.12) and `execveat` do.
pub fn protect(argv: Vec<CString>, env: Vec<CString>) -> io::Result<()> {
    if is_protected()? {
        return Ok(());
    }
    match clone_detached(RUNNING, READ_ONLY) {
        Ok(mount) => execute(&mount, argv, env),
        Err(error) => execute(&copy(&error)?, argv, env),
    }
}

/// Does what [`protect`] does and leaves the mount open for the new program, as the descriptor that
/// the variable `name` of its environment tells: no path leads to a detached mount. See
/// [`passed_mount`].
///
/// # Errors
/// As [`protect`].
pub fn protect_and_pass(argv: Vec<CString>, mut env: Vec<CString>, name: &str) -> io::Result<()> {
    if is_protected()? {
        return Ok(());
    }
    let mount = match clone_detached(RUNNING, READ_ONLY) {
        Ok(mount) => mount,
        // A copy is no mount, and nothing to pass.
        Err(error) => return execute(&copy(&error)?, argv, env),
    };
    // SAFETY: takes integers; the descriptor is this function's own.
    check(unsafe { libc::fcntl(mount.as_raw_fd(), libc::F_SETFD, 0) }.into())?;
    env.push(CString::new(format!("{name}={}", mount.as_raw_fd()))?);
    execute(&mount, argv, env)
}

/// Does what [`protect`] does for a user without privileges, where somebody else than root owns this
/// program's file or the user may write to it: a container's root is the user then. A child makes
/// the mount in namespaces of its own. Nobody holds it but the program that runs from it, so no
/// capability in a container makes it writable again. The variable `name` of the environment tells the
/// new program the path of its file, see [`mount_at`].
///
/// # Errors
/// Fails where user namespaces are forbidden or the file is no longer at its path (`ESTALE`), or as
/// [`protect`].
pub fn protect_as_user(argv: Vec<CString>, mut env: Vec<CString>, name: &str) -> io::Result<()> {
    if is_protected()? || !is_in_reach()? {
        return Ok(());
    }
    let path = std::fs::read_link("/proc/self/exe")?;
    let mount = mount_of_child(&path)?;
    if !is_own(&mount) {
        return Err(io::Error::from_raw_os_error(libc::ESTALE));
    }
    env.push(CString::new([name.as_bytes(), b"=", path.as_os_str().as_bytes()].concat())?);
    execute(&mount, argv, env)
}

/// The mount of this program's file that [`protect_and_pass`] has left open, given its number. The
/// number is not trusted: it must be open and of this program's file.
///
/// The mount can be attached once; `None` for a number that is not it.
#[must_use]
pub fn passed_mount(number: i32) -> Option<OwnedFd> {
    // SAFETY: takes integers; the new descriptor is owned by nobody else.
    let mount = unsafe {
        let fd = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))?
    };
    is_own(&mount).then(|| {
        // SAFETY: takes integers. What was inherited is for nobody else.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        mount
    })
}

/// A detached read-only mount of this program's file, given the path that [`protect_as_user`] has
/// told. The path is not trusted: `None` if this program's file is not there.
#[must_use]
pub fn mount_at(path: PathBuf) -> Option<OwnedFd> {
    let path = CString::new(path.into_os_string().into_encoded_bytes()).ok()?;
    clone_detached(&path, READ_ONLY).ok().filter(is_own)
}

/// Whether the descriptor is of this program's file.
fn is_own(fd: &OwnedFd) -> bool {
    // SAFETY: stat is plain integers, which the calls fill; the path is a constant.
    unsafe {
        let [mut found, mut own]: [libc::stat; 2] = std::mem::zeroed();
        libc::fstat(fd.as_raw_fd(), &raw mut found) == 0
            && libc::stat(RUNNING.as_ptr(), &raw mut own) == 0
            && (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
    }
}

/// Whether a container whose root is this user could change this program's file.
fn is_in_reach() -> io::Result<bool> {
    // SAFETY: the path is a constant; stat is plain integers, which the call fills.
    unsafe {
        let mut own: libc::stat = std::mem::zeroed();
        check(libc::stat(RUNNING.as_ptr(), &raw mut own).into())?;
        let (at, how) = (libc::AT_FDCWD, libc::AT_EACCESS);
        // That it is being executed does not count here.
        let writable = libc::faccessat(at, RUNNING.as_ptr(), libc::W_OK, how) == 0;
        Ok(own.st_uid != 0 || writable)
    }
}

/// A detached read-only mount of the file at a path, made in a user and a mount namespace of a child.
/// What this process executes is open in a namespace in which nothing can be cloned from there.
fn mount_of_child(path: &Path) -> io::Result<OwnedFd> {
    let mut program = Program::default();
    let socket = program.descriptor_socket()?;
    let [file, mount] = [program.slot(), program.slot()];
    let attributes = Attributes { set: READ_ONLY, ..Attributes::default() };
    program.push(Op::OpenHost(CString::new(path.as_os_str().as_bytes())?, file));
    program.push(Op::CloneTree(file, Depth::One, mount));
    program.push(Op::SetAttributes(mount, Depth::One, attributes));
    program.push(Op::Send(mount, socket));
    let namespaces = (libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u64;
    let mut running = program.start(namespaces, None, |_| Ok(())).map_err(Failure::into_source)?;
    running.wait()?;
    running.sent.take().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}

/// Whether this program runs from where its file cannot be changed: a read-only mount, or a sealed copy.
fn is_protected() -> io::Result<bool> {
    if is_read_only()? {
        return Ok(true);
    }
    // Only files in memory have no name and can be sealed.
    if !std::fs::read_link("/proc/self/exe")?.as_os_str().as_bytes().starts_with(b"/memfd:") {
        return Ok(false);
    }
    let own = std::fs::File::open("/proc/self/exe")?;
    // SAFETY: takes integers.
    let seals = unsafe { libc::fcntl(own.as_raw_fd(), libc::F_GET_SEALS) };
    Ok(seals >= 0 && seals & SEALS == SEALS)
}

const SEALS: i32 = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// A copy of this program in memory that cannot be changed, where a mount of it could not be made for
/// this reason.
fn copy(reason: &io::Error) -> io::Result<OwnedFd> {
    let known = [libc::ENOSYS, libc::EPERM, libc::EINVAL];
    if !reason.raw_os_error().is_some_and(|errno| known.contains(&errno)) {
        return Err(io::Error::from_raw_os_error(reason.raw_os_error().unwrap_or(libc::EIO)));
    }
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is null-terminated; a descriptor returned is new and nothing else owns it.
    let mut copy = unsafe {
        let fd = check(libc::memfd_create(c"creel".as_ptr(), flags).into())?;
        std::fs::File::from_raw_fd(fd as i32)
    };
    io::copy(&mut std::fs::File::open("/proc/self/exe")?, &mut copy)?;
    // SAFETY: takes integers.
    check(unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_ADD_SEALS, SEALS) }.into())?;
    Ok(copy.into())
}

/// Whether this program runs from a read-only mount.
fn is_read_only() -> io::Result<bool> {
    // SAFETY: the path is a constant; statvfs is plain data that the call fills.
    unsafe {
        let mut info: libc::statvfs = std::mem::zeroed();
        check(libc::statvfs(RUNNING.as_ptr(), &raw mut info).into())?;
        Ok(info.f_flag & libc::ST_RDONLY != 0)
    }
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
