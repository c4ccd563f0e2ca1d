//! Starting to write a file's pages to disk before anything waits for it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;

/// Starts to write the dirty pages of a range of bytes to disk, without making anything durable.
///
/// Waits only while the device's queue is full (`sync_file_range(2)`, Linux 2.6.17).
///
/// # Errors
///
/// Those of the call; a file system that writes nothing back takes it and does nothing.
pub fn begin(file: &File, range: Range<u64>) -> io::Result<()> {
    let length = range.end.saturating_sub(range.start);
    if length == 0 {
        // For the kernel, 0 is all up to the end.
        return Ok(());
    }
    let number = |value| i64::try_from(value).map_err(|_| io::ErrorKind::InvalidInput);
    let (start, length) = (number(range.start)?, number(length)?);
    let flags = libc::SYNC_FILE_RANGE_WRITE;
    // SAFETY: takes no pointers, and the descriptor is open for as long as it is borrowed.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), start, length, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn takes_ranges_of_a_file_and_refuses_those_of_a_pipe() -> io::Result<()> {
        let path = std::env::temp_dir().join(format!("creel-writeback-{}", std::process::id()));
        let mut file = File::create_new(&path)?;
        file.write_all(&[1; 10_000])?;
        begin(&file, 0..10_000)?;
        begin(&file, 5..5)?;
        begin(&file, 4096..1 << 40)?;
        assert!(begin(&file, 0..u64::MAX).is_err());
        let (_, pipe) = io::pipe()?;
        assert!(begin(&File::from(std::os::fd::OwnedFd::from(pipe)), 0..1).is_err());
        std::fs::remove_file(path)
    }
}
