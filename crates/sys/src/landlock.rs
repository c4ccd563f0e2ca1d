//! Landlock: rules that a thread lays on itself.
//!
//! Source: landlock(7) and `include/uapi/linux/landlock.h`; it came with Linux 5.13.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use libc::{c_long, syscall};

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: i32 = 1;
const RULE_NET_PORT: i32 = 2;

/// What a set of rules decides about: `struct landlock_ruleset_attr`. A kernel that knows less of it
/// takes it where the rest is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_*`.
    pub files: u64,
    /// `LANDLOCK_ACCESS_NET_*`.
    pub ports: u64,
    /// `LANDLOCK_SCOPE_*`.
    pub scopes: u64,
}

/// `struct landlock_path_beneath_attr`, which is packed.
#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

/// `struct landlock_net_port_attr`.
#[repr(C)]
struct NetPort {
    access: u64,
    port: u64,
}

const _: () = assert!(size_of::<Handled>() == 24);
const _: () = assert!(size_of::<PathBeneath>() == 12 && size_of::<NetPort>() == 16);

/// The version of its interface that the kernel has.
///
/// # Errors
/// ENOSYS from a kernel built without, EOPNOTSUPP from one that was started without.
pub fn version() -> io::Result<u32> {
    // SAFETY: with this flag the call takes a null pointer and no size.
    let version = unsafe {
        syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, CREATE_RULESET_VERSION)
    };
    u32::try_from(version).map_err(|_| io::Error::last_os_error())
}

/// Makes a set of rules that allows nothing of what it decides about.
///
/// # Errors
/// EINVAL or E2BIG for what the kernel does not know, ENOMSG for nothing at all.
pub fn create(handled: Handled) -> io::Result<OwnedFd> {
    // SAFETY: the call reads `size_of::<Handled>()` bytes of `handled`, which outlives it.
    let fd = unsafe {
        syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size_of::<Handled>(), 0)
    };
    match RawFd::try_from(fd) {
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Allows access to a file, or to all below a directory, that may be open with `O_PATH`.
///
/// # Errors
/// EINVAL for what the set does not decide about, or for access to a file that only directories
/// have; EBADFD for what has no place in a tree, such as a pipe.
pub fn allow_beneath(ruleset: impl AsFd, access: u64, beneath: impl AsFd) -> io::Result<()> {
    let [ruleset, beneath] = [ruleset.as_fd().as_raw_fd(), beneath.as_fd().as_raw_fd()];
    done(add_beneath(ruleset, access, beneath))
}

/// Allows access to a TCP port.
///
/// # Errors
/// EINVAL for what the set does not decide about.
pub fn allow_port(ruleset: impl AsFd, access: u64, port: u16) -> io::Result<()> {
    let rule = NetPort { access, port: port.into() };
    // SAFETY: the call reads one NetPort, which outlives it.
    done(unsafe {
        let ruleset = ruleset.as_fd().as_raw_fd();
        syscall(libc::SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &raw const rule, 0)
    })
}

/// Lays the rules on this thread and all that it starts, for good. `flags` are
/// `LANDLOCK_RESTRICT_SELF_*`.
///
/// # Errors
/// EPERM unless new privileges are forbidden or the thread has CAP_SYS_ADMIN, E2BIG for more than
/// sixteen sets.
pub fn restrict_this_thread(ruleset: impl AsFd, flags: u32) -> io::Result<()> {
    done(restrict(ruleset.as_fd().as_raw_fd(), flags))
}

fn done(result: c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn add_beneath(ruleset: RawFd, access: u64, parent: RawFd) -> c_long {
    let rule = PathBeneath { access, parent };
    // SAFETY: the call reads one PathBeneath, which outlives it.
    unsafe { syscall(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &raw const rule, 0) }
}

pub(crate) fn restrict(ruleset: RawFd, flags: u32) -> c_long {
    // SAFETY: takes integers.
    unsafe { syscall(libc::SYS_landlock_restrict_self, ruleset, flags) }
}
