//! Loop devices: files as block devices.
//!
//! Source: loop(4) and `include/uapi/linux/loop.h`; `LOOP_CONFIGURE` is of Linux 5.8. rustix has no
//! wrapper for them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const LOOP_CONFIGURE: u32 = 0x4c0a;
const LOOP_GET_STATUS64: u32 = 0x4c05;
const LOOP_CTL_GET_FREE: u32 = 0x4c82;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<Info>() == 232 && size_of::<Config>() == 304);

/// What a loop device shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Device number of the file system the file is on, as `st_dev` has it for majors below 4096.
    pub device: u64,
    /// Inode number of the file.
    pub inode: u64,
    /// All of the file, from its beginning.
    pub whole: bool,
    /// It cannot be written, and the kernel lets go of the file when the device is closed last.
    pub passing: bool,
}

/// Returns the number of a loop device that is free, made if need be; another process may take it
/// first. `control` is `/dev/loop-control`.
///
/// # Errors
/// What `ioctl(2)` gives, such as EACCES without CAP_SYS_ADMIN.
pub fn free_number(control: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: this request takes no argument and touches no memory of ours.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
    u32::try_from(number).map_err(|_| io::Error::last_os_error())
}

/// Makes a free loop device show a file, read-only, until the device is closed last. The file is
/// read past its own page cache where its file system can.
///
/// # Errors
/// What `ioctl(2)` gives: EBUSY for a device that shows a file already.
pub fn configure(device: BorrowedFd<'_>, file: BorrowedFd<'_>) -> io::Result<()> {
    let config = Config {
        fd: u32::try_from(file.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?,
        block_size: 0,
        info: Info { flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO, ..EMPTY },
        reserved: [0; 8],
    };
    // SAFETY: the request reads one `struct loop_config`, which `config` is by layout and size, and
    // which outlives the call.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &raw const config) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Tells what a loop device shows; `None` for one that is free.
///
/// # Errors
/// What `ioctl(2)` gives.
pub fn status(device: BorrowedFd<'_>) -> io::Result<Option<Status>> {
    let mut info = EMPTY;
    // SAFETY: the request writes one `struct loop_info64`, which `info` is by layout and size; every
    // pattern of bits is a value of it.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_GET_STATUS64 as _, &raw mut info) };
    if done != 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENXIO) { Ok(None) } else { Err(error) };
    }
    let wanted = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    Ok(Some(Status {
        device: info.device,
        inode: info.inode,
        whole: info.offset == 0 && info.size_limit == 0,
        passing: info.flags & wanted == wanted,
    }))
}

const EMPTY: Info = Info {
    device: 0,
    inode: 0,
    rdevice: 0,
    offset: 0,
    size_limit: 0,
    number: 0,
    encrypt_type: 0,
    encrypt_key_size: 0,
    flags: 0,
    file_name: [0; 64],
    crypt_name: [0; 64],
    encrypt_key: [0; 32],
    init: [0; 2],
};

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_is_no_loop_device_is_an_error() {
        let null = File::open("/dev/null").unwrap();
        assert!(free_number(null.as_fd()).is_err());
        assert!(configure(null.as_fd(), null.as_fd()).is_err());
        assert!(status(null.as_fd()).is_err());
    }
}
