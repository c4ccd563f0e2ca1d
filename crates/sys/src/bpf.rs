//! Extended BPF programs that a control group asks about devices.
//!
//! Source: bpf(2) and `include/uapi/linux/bpf.h`; such programs came with Linux 4.15.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of groups above and other programs of the group are asked as well.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` for loading that is not left zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    words: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The part of `union bpf_attr` for attaching.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

const _: () = assert!(size_of::<Load>() == 64 && size_of::<Attach>() == 16);

/// Loads a program that is asked about devices, given as the kernel's words.
///
/// # Errors
/// EPERM without CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, in the first user namespace; EINVAL or
/// EACCES for a program that the kernel does not take.
pub fn load_device_program(words: &[u64]) -> io::Result<OwnedFd> {
    let load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(words.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        words: words.as_ptr() as u64,
        // No function of the kernel's is called that asks for a licence.
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"creel_devices\0\0\0",
    };
    // SAFETY: the call reads `size_of::<Load>()` bytes of `load`, `count` words of eight bytes at
    // `words` and a string with an end at `license`; all outlive it, and it writes nothing, as there
    // is no log.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has a control group's directory ask the program; it does so until the group is gone.
///
/// # Errors
/// What bpf(2) gives, such as EINVAL from a kernel without `CONFIG_CGROUP_BPF`.
pub fn attach_to_cgroup(program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>) -> io::Result<()> {
    let number = |fd: BorrowedFd<'_>| {
        u32::try_from(fd.as_raw_fd()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
    };
    let attach = Attach {
        target: number(cgroup)?,
        program: number(program)?,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the call reads `size_of::<Attach>()` bytes of `attach`, which outlives it.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_is_no_program_is_refused() {
        // Nothing ends it.
        assert!(load_device_program(&[0xb4]).is_err());
        let null = File::open("/dev/null").unwrap();
        assert!(attach_to_cgroup(null.as_fd(), null.as_fd()).is_err());
    }

    #[test]
    fn privileged_a_program_is_loaded() {
        // r0 = 1; exit.
        load_device_program(&[0x1_0000_00b4, 0x95]).unwrap();
    }
}
