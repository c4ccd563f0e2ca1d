//! The names in a directory.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType};

use super::error::{Action, Context as _, PathError};

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, any bytes but `/` and NUL.
    pub name: OsString,
    /// What it is; symbolic links are not followed. `Unknown` if it went away meanwhile.
    pub file_type: FileType,
    /// The inode number.
    pub inode: u64,
}

/// The names in a directory, in the order the file system has them, without `.` and `..`.
pub struct Entries {
    pub(super) inner: rustix::fs::Dir,
    pub(super) path: PathBuf,
}

impl Entries {
    fn read(&self, raw: &rustix::fs::DirEntry) -> Entry {
        let name = OsStr::from_bytes(raw.file_name().to_bytes()).to_owned();
        let file_type = match raw.file_type() {
            // Some file systems do not say; they are asked.
            FileType::Unknown => self.ask(&name),
            known => known,
        };
        Entry { name, file_type, inode: raw.ino() }
    }

    fn ask(&self, name: &OsStr) -> FileType {
        let stat = self
            .inner
            .fd()
            .and_then(|dir| rustix::fs::statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW));
        stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, PathError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.inner.next()?.at(Action::List, &self.path) {
                Ok(raw) if matches!(raw.file_name().to_bytes(), b"." | b"..") => {}
                Ok(raw) => return Some(Ok(self.read(&raw))),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
