//! A directory of the store: every access is relative to its descriptor and follows no link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::error::{Result, StoreError};
use crate::fault;

/// Names that begin so are half-written files of a live or dead process.
pub(crate) const TEMPORARY: &[u8] = b".tmp-";

/// An open directory, and its path for messages only.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens the directory at `path`; links are followed, as the user chose the path.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| StoreError::io("open", path)(errno.into()))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The same directory for what takes paths within it.
    pub(crate) fn to_base(&self) -> Result<creel_base::path::Dir> {
        let fd = self.fd.try_clone().map_err(StoreError::io("open", &self.path))?;
        Ok(creel_base::path::Dir::from_fd(fd, self.path.clone()))
    }

    /// Opens a directory below; `None` when there is none.
    pub(crate) fn sub(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = self.path_of(&name);
        match rustix::fs::openat(&self.fd, name.as_ref(), flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(StoreError::io("open", &path)(errno.into())),
        }
    }

    /// Opens a directory below and makes it, with permissions 0700, where there is none.
    pub(crate) fn make_sub(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let path = self.path_of(&name);
        let made = self.step().and_then(|()| {
            match rustix::fs::mkdirat(&self.fd, name.as_ref(), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        });
        made.map_err(StoreError::io("create", &path))?;
        self.sub(&name)?
            .ok_or_else(|| StoreError::io("open", &path)(io::ErrorKind::NotFound.into()))
    }

    /// The path of a name below, for messages.
    pub(crate) fn path_of(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    /// The directory's own path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names in the directory, without `.`, `..` and half-written files; sorted.
    pub(crate) fn names(&self) -> Result<Vec<Vec<u8>>> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.starts_with(TEMPORARY));
        Ok(names)
    }

    /// The names in the directory, half-written files included; sorted.
    pub(crate) fn all_names(&self) -> Result<Vec<Vec<u8>>> {
        let failed = |errno: Errno| StoreError::io("list", &self.path)(errno.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, c".", flags, Mode::empty()).map_err(failed)?;
        let mut buffer = Vec::with_capacity(64 * 1024);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a regular file for reading; `None` when there is none.
    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> Result<Option<File>> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// Opens a regular file for reading and writing; `None` when there is none.
    pub(crate) fn open_file_rw(&self, name: impl AsRef<OsStr>) -> Result<Option<File>> {
        self.open_with(name, OFlags::RDWR)
    }

    fn open_with(&self, name: impl AsRef<OsStr>, access: OFlags) -> Result<Option<File>> {
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.fd, name.as_ref(), flags, Mode::empty()) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(StoreError::io("open", &self.path_of(name))(errno.into())),
        }
    }

    /// Opens a file for reading and writing, and makes it empty where there is none.
    pub(crate) fn open_or_create(&self, name: impl AsRef<OsStr>) -> Result<File> {
        self.create_with(name, OFlags::empty())
    }

    /// Makes a file that must not exist yet.
    pub(crate) fn create_new(&self, name: impl AsRef<OsStr>) -> Result<File> {
        self.create_with(name, OFlags::EXCL)
    }

    fn create_with(&self, name: impl AsRef<OsStr>, extra: OFlags) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | extra;
        let made = self.step().and_then(|()| {
            let mode = Mode::RUSR | Mode::WUSR;
            Ok(File::from(rustix::fs::openat(&self.fd, name.as_ref(), flags, mode)?))
        });
        made.map_err(StoreError::io("create", &self.path_of(&name)))
    }

    /// Reads a whole file of at most `limit` bytes; `None` when there is none. What is no regular
    /// file is damage, and not followed.
    pub(crate) fn read(&self, name: impl AsRef<OsStr>, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path_of(&name);
        let file = match self.open_file(&name) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(error) => return Err(unless_no_file(error, &path)),
        };
        let mut bytes = Vec::new();
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(StoreError::io("read", &path))
            .map_err(|error| unless_no_file(error, &path))?;
        if bytes.len() as u64 > limit {
            return Err(StoreError::damaged(&path, "longer than it may be"));
        }
        Ok(Some(bytes))
    }

    /// Replaces a file as a whole: after a crash it holds the old bytes or the new ones.
    pub(crate) fn replace(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        let temporary = self.temporary()?;
        let path = self.path_of(&name);
        let written = (|| {
            let mut file = self.create_new(OsStr::from_bytes(&temporary))?;
            self.step()
                .and_then(|()| file.write_all(bytes))
                .map_err(StoreError::io("write", &path))?;
            self.publish(&file, OsStr::from_bytes(&temporary), name.as_ref())
        })();
        if written.is_err() {
            // The rename may have happened; then there is nothing left to remove.
            let _ = self.remove(OsStr::from_bytes(&temporary));
        }
        written
    }

    /// Makes a finished file visible under its name, durably.
    pub(crate) fn publish(&self, file: &File, from: &OsStr, to: &OsStr) -> Result<()> {
        let path = self.path_of(to);
        self.step().and_then(|()| file.sync_data()).map_err(StoreError::io("flush", &path))?;
        self.step()
            .and_then(|()| Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?))
            .map_err(StoreError::io("rename", &path))?;
        self.sync()
    }

    /// A name for a half-written file that no other process uses.
    pub(crate) fn temporary(&self) -> Result<Vec<u8>> {
        let mut name = TEMPORARY.to_vec();
        name.extend_from_slice(
            random_hex().map_err(StoreError::io("name a file in", &self.path))?.as_bytes(),
        );
        Ok(name)
    }

    /// Removes a file; says whether there was one. Not durable before [`Dir::sync`].
    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let removed = self.step().and_then(|()| {
            match rustix::fs::unlinkat(&self.fd, name.as_ref(), AtFlags::empty()) {
                Ok(()) => Ok(true),
                Err(Errno::NOENT) => Ok(false),
                Err(errno) => Err(errno.into()),
            }
        });
        removed.map_err(StoreError::io("remove", &self.path_of(&name)))
    }

    /// Moves what has a name into another directory, under a name that nothing has there.
    pub(crate) fn move_to(&self, name: impl AsRef<OsStr>, other: &Self) -> Result<()> {
        let path = self.path_of(&name);
        let moved = self.step().and_then(|()| {
            let free = format!("{}-{}", random_hex()?, name.as_ref().display());
            Ok(rustix::fs::renameat(&self.fd, name.as_ref(), &other.fd, free)?)
        });
        moved.map_err(StoreError::io("move away", &path))?;
        other.sync()?;
        self.sync()
    }

    /// Makes the directory's own changes durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.step()
            .and_then(|()| Ok(rustix::fs::fsync(&self.fd)?))
            .map_err(StoreError::io("flush", &self.path))
    }

    fn step(&self) -> io::Result<()> {
        fault::step()
    }
}

/// Tells what the kernel says of what is no regular file from trouble of the machine.
fn unless_no_file(error: StoreError, path: &Path) -> StoreError {
    let StoreError::Io { source, .. } = &error else { return error };
    match Errno::from_io_error(source) {
        // A symbolic link, a socket, a directory.
        Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
            StoreError::damaged(path, "not a regular file")
        }
        _ => error,
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// 128 random bits.
pub(crate) fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let length = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    // Requests of up to 256 bytes are never cut short (random(7)).
    if length == bytes.len() { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn random_hex() -> io::Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random()?)))
}
