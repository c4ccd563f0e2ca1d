//! An open directory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::error::{Action, Context as _, PathError};
use super::list::Entries;
use super::remove;
use super::resolve::{self, Scope};

type Result<T> = core::result::Result<T, PathError>;

/// An open directory, and the path by which it was opened (for messages only).
///
/// Paths given to its methods are relative to it and cannot lead out of it. Symbolic links before
/// the last part are followed within it; the last part is followed by `open_*` only.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// What a rename does when the new name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Put the new in place of the old in one step.
    Replace,
    /// Fail with EEXIST.
    Fail,
    /// Swap the two. Both must exist.
    Exchange,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// The most bytes that are set aside before a file is read.
const MAX_GUESS: u64 = 1 << 20;

/// Fifos and devices do not block the open.
const READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Dir {
    /// Opens a directory by a path that is trusted: links are followed wherever they lead.
    ///
    /// # Errors
    /// [`PathError`], as everywhere here.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fd = rustix::fs::openat(CWD, path, DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .at(Action::OpenDir, path)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a directory by a trusted path, making it and what is above it where missing.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn open_or_create(path: impl AsRef<Path>, mode: Mode) -> Result<Self> {
        let path = path.as_ref();
        match Self::open(path) {
            Err(error) if error.is_not_found() => {}
            result => return result,
        }
        let missing: Vec<&Path> = path
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.is_dir())
            .collect();
        for above in missing.into_iter().rev() {
            match rustix::fs::mkdirat(CWD, above, mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).at(Action::MakeDir, above),
            }
        }
        Self::open(path)
    }

    /// Takes a descriptor of a directory; `path` is what messages call it.
    pub const fn from_fd(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// Returns the path by which this was opened. The directory may have moved since.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a second descriptor of the same directory.
    ///
    /// # Errors
    /// [`PathError`] when there are too many open files.
    pub fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().at(Action::OpenDir, &self.path)?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Self> {
        self.open_dir_within(path, Scope::Beneath)
    }

    /// Opens a directory, with a say in where links may lead.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn open_dir_within(&self, path: impl AsRef<Path>, scope: Scope) -> Result<Self> {
        let path = path.as_ref();
        let fd = resolve::open(self.as_fd(), path, scope, DIRECTORY, Mode::empty())
            .at(Action::OpenDir, self.join(path))?;
        Ok(Self { fd, path: self.join(path) })
    }

    /// Opens a file for reading. Fifos and devices do not block the open (O_NONBLOCK, O_NOCTTY).
    ///
    /// # Errors
    /// [`PathError`].
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<File> {
        self.open_within(path, Scope::Beneath, READING)
    }

    /// Opens something with flags and scope of the caller's choice; O_CLOEXEC is added, and a file
    /// made by O_CREAT gets mode 0600.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn open_within(&self, path: impl AsRef<Path>, scope: Scope, flags: OFlags) -> Result<File> {
        let path = path.as_ref();
        // openat2 refuses a mode where nothing can be made.
        let makes = flags.intersects(OFlags::CREATE) || flags.contains(OFlags::TMPFILE);
        let (mode, action) = match makes {
            true => (Mode::RUSR | Mode::WUSR, Action::Create),
            false => (Mode::empty(), Action::OpenFile),
        };
        let fd =
            resolve::open(self.as_fd(), path, scope, flags, mode).at(action, self.join(path))?;
        Ok(File::from(fd))
    }

    /// Makes a file that must not exist, open for reading and writing.
    ///
    /// # Errors
    /// [`PathError`]; EEXIST where there is anything, a dangling link too.
    pub fn create_new(&self, path: impl AsRef<Path>, mode: Mode) -> Result<File> {
        let path = path.as_ref();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let fd = resolve::open(self.as_fd(), path, Scope::Beneath, flags, mode)
            .at(Action::Create, self.join(path))?;
        Ok(File::from(fd))
    }

    /// Reads a whole file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`PathError`]; EFBIG for a longer file.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
        self.read_within(path, Scope::Beneath, limit)
    }

    /// Reads a whole file, with a say in where links may lead.
    ///
    /// # Errors
    /// As [`Dir::read`].
    pub fn read_within(&self, path: impl AsRef<Path>, scope: Scope, limit: u64) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let file = self.open_within(path, scope, READING)?;
        // What it says of its size saves reads of a few bytes each, and need not be true.
        let said = file.metadata().map_or(0, |metadata| metadata.len().min(limit).min(MAX_GUESS));
        let mut content = Vec::with_capacity(usize::try_from(said).unwrap_or(0).saturating_add(1));
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut content);
        read.at(Action::Read, self.join(path))?;
        match u64::try_from(content.len()) {
            Ok(found) if found <= limit => Ok(content),
            _ => Err(Errno::FBIG).at(Action::Read, self.join(path)),
        }
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn mkdir(&self, path: impl AsRef<Path>, mode: Mode) -> Result<()> {
        self.leaf(path.as_ref(), Action::MakeDir, |dir, name| rustix::fs::mkdirat(dir, name, mode))
    }

    /// Opens a directory, making it (but nothing above it) where it is missing.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn mkdir_open(&self, path: impl AsRef<Path>, mode: Mode) -> Result<Self> {
        let path = path.as_ref();
        match self.mkdir(path, mode) {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => self.open_dir(path),
        }
    }

    /// Removes anything but a directory; a link itself, not its target.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn unlink(&self, path: impl AsRef<Path>) -> Result<()> {
        self.leaf(path.as_ref(), Action::Remove, |dir, name| {
            rustix::fs::unlinkat(dir, name, AtFlags::empty())
        })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Result<()> {
        self.leaf(path.as_ref(), Action::Remove, |dir, name| {
            rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
        })
    }

    /// Removes whatever is at a path with all that is below it. Links are removed, not followed;
    /// what is mounted below is refused with EXDEV or EBUSY, not emptied.
    ///
    /// # Errors
    /// [`PathError`]; what was removed until then stays removed. Nothing there is no error.
    pub fn remove_all(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let result = self.leaf(path, Action::Remove, remove::tree);
        match result {
            Err(error) if error.is_not_found() => Ok(()),
            result => result,
        }
    }

    /// Moves something within this directory.
    ///
    /// # Errors
    /// [`PathError`], which names the new path.
    pub fn rename(&self, from: &Path, to: &Path, if_exists: IfExists) -> Result<()> {
        self.rename_to(from, self, to, if_exists)
    }

    /// Moves something to another directory of the same file system.
    ///
    /// # Errors
    /// [`PathError`], which names the new path. Where the file system knows no flags (EINVAL),
    /// [`IfExists::Fail`] and [`IfExists::Exchange`] fail.
    pub fn rename_to(&self, from: &Path, target: &Self, to: &Path, how: IfExists) -> Result<()> {
        let flags = match how {
            IfExists::Replace => RenameFlags::empty(),
            IfExists::Fail => RenameFlags::NOREPLACE,
            IfExists::Exchange => RenameFlags::EXCHANGE,
        };
        let (source, old) = self.parent(from, Action::Rename)?;
        target.leaf(to, Action::Rename, |dir, new| {
            rustix::fs::renameat_with(source.as_fd(), old, dir, new, flags)
        })
    }

    /// Makes a symbolic link at `path`. Its target is any bytes; nothing checks them.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn symlink(&self, target: impl AsRef<OsStr>, path: impl AsRef<Path>) -> Result<()> {
        self.leaf(path.as_ref(), Action::Symlink, |dir, name| {
            rustix::fs::symlinkat(target.as_ref().as_bytes(), dir, name)
        })
    }

    /// Makes a hard link in `target`; a symbolic link is linked itself, not followed.
    ///
    /// # Errors
    /// [`PathError`], which names the new path.
    pub fn hard_link(&self, from: &Path, target: &Self, to: &Path) -> Result<()> {
        let (source, old) = self.parent(from, Action::Link)?;
        target.leaf(to, Action::Link, |dir, new| {
            rustix::fs::linkat(source.as_fd(), old, dir, new, AtFlags::empty())
        })
    }

    /// Gives a name to a file that has none (O_TMPFILE); needs `/proc`.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn link_file(&self, file: impl AsFd, path: impl AsRef<Path>) -> Result<()> {
        self.leaf(path.as_ref(), Action::Link, |dir, name| {
            let from = proc_path(file.as_fd());
            rustix::fs::linkat(CWD, from, dir, name, AtFlags::SYMLINK_FOLLOW)
        })
    }

    /// Reads a symbolic link.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn readlink(&self, path: impl AsRef<Path>) -> Result<OsString> {
        self.leaf(path.as_ref(), Action::ReadLink, |dir, name| {
            rustix::fs::readlinkat(dir, name, Vec::new())
        })
        .map(|target| OsString::from_vec(target.into_bytes()))
    }

    /// Reads metadata; a link's own.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Stat> {
        self.leaf(path.as_ref(), Action::Stat, |dir, name| {
            rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// Reads the directory's own metadata.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn stat_self(&self) -> Result<Stat> {
        rustix::fs::fstat(&self.fd).at(Action::Stat, &self.path)
    }

    /// Returns whether there is anything at a path, a dangling link too.
    ///
    /// # Errors
    /// [`PathError`] for any cause other than ENOENT.
    pub fn exists(&self, path: impl AsRef<Path>) -> Result<bool> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists this directory.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn entries(&self) -> Result<Entries> {
        let inner = rustix::fs::Dir::read_from(&self.fd).at(Action::List, &self.path)?;
        Ok(Entries { inner, path: self.path.clone() })
    }

    /// Changes the directory's own mode.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn set_mode(&self, mode: Mode) -> Result<()> {
        rustix::fs::fchmod(&self.fd, mode).at(Action::SetMode, &self.path)
    }

    /// Flushes the names in this directory to the disk (fsync).
    ///
    /// # Errors
    /// [`PathError`].
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).at(Action::Sync, &self.path)
    }

    /// Flushes the whole file system this directory is on (syncfs; reports write errors since
    /// Linux 5.8).
    ///
    /// # Errors
    /// [`PathError`].
    pub fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.fd).at(Action::Sync, &self.path)
    }

    /// What messages call `path`.
    pub(crate) fn join(&self, path: &Path) -> PathBuf {
        self.path.join(path)
    }

    /// Calls `act` with the directory that holds the last part of `path`, and that part.
    fn leaf<T>(
        &self,
        path: &Path,
        action: Action,
        act: impl FnOnce(BorrowedFd<'_>, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let (parent, name) = self.parent(path, action)?;
        act(parent.as_fd(), name).at(action, self.join(path))
    }

    fn parent<'a>(&'a self, path: &'a Path, action: Action) -> Result<(Parent<'a>, &'a OsStr)> {
        let Some(name) = path.file_name() else {
            return Err(Errno::INVAL).at(action, self.join(path));
        };
        match path.parent().filter(|above| !above.as_os_str().is_empty()) {
            None => Ok((Parent::This(self.as_fd()), name)),
            Some(above) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                resolve::open(self.as_fd(), above, Scope::Beneath, flags, Mode::empty())
                    .at(action, self.join(path))
                    .map(|fd| (Parent::Below(fd), name))
            }
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.fd
    }
}

enum Parent<'a> {
    This(BorrowedFd<'a>),
    Below(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::This(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

/// Returns the name by which `/proc` knows an open file.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
