//! Loop devices for kernels that mount EROFS from block devices only: one a file, shared by all
//! mounts that read it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use creel_sys::loop_device;
use rustix::io::Errno;

/// Another process may take a free device first; that often is not bad luck any more.
const ATTEMPTS: u32 = 64;

/// A loop device, open. It shows its file for as long as this or a mount is there.
pub(super) struct Device {
    number: u32,
    file: File,
}

impl Device {
    /// Finds the device that shows a file, or makes one.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        match existing(file)? {
            Some(device) => Ok(device),
            None => make(file),
        }
    }

    /// Its path.
    pub(super) fn path(&self) -> String {
        path(self.number)
    }

    fn open(number: u32) -> io::Result<Self> {
        Ok(Self { number, file: File::open(path(number))? })
    }

    fn shows(&self, file: &File) -> io::Result<bool> {
        let stat = file.metadata()?;
        let status = loop_device::status(self.file.as_fd())?;
        Ok(status.is_some_and(|status| {
            let same = (status.device, status.inode) == (stat.dev(), stat.ino());
            same && status.whole && status.passing
        }))
    }
}

fn path(number: u32) -> String {
    format!("/dev/loop{number}")
}

/// Looks through the devices that show a file of this name; without sysfs, none is found.
fn existing(file: &File) -> io::Result<Option<Device>> {
    let Ok(devices) = std::fs::read_dir("/sys/block") else { return Ok(None) };
    for entry in devices {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let number = name.strip_prefix("loop").and_then(|number| number.parse().ok());
        let Some(number) = number else { continue };
        if !Path::new("/sys/block").join(&name).join("loop/backing_file").exists() {
            continue;
        }
        // Open, it keeps its file: what is seen now stays so. It may have gone before.
        if let Ok(device) = Device::open(number)
            && device.shows(file)?
        {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

fn make(file: &File) -> io::Result<Device> {
    let control = File::open("/dev/loop-control")?;
    for _ in 0..ATTEMPTS {
        let device = Device::open(loop_device::free_number(control.as_fd())?)?;
        match loop_device::configure(device.file.as_fd(), file.as_fd()) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {}
            result => return result.map(|()| device),
        }
    }
    Err(Errno::BUSY.into())
}
