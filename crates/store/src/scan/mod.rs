//! From a directory to a tree: what a container changed, or a root that someone made.
//!
//! The directory may change meanwhile and may be hostile. Every name is opened once, without
//! following a link, and everything is read from that descriptor. What goes away is left out; what
//! grows is read up to the size it had.

mod attributes;
mod content;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use creel_base::digest::ObjectId;
use creel_base::path::{Dir, PathError, Scope};
use creel_codec::erofs::OverlayMarks;
use creel_codec::layer::LayerSink;
use creel_codec::listing;
use creel_codec::tree::{Entry, Kind, Meta, Tree};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::checkout::Owners;
use crate::error::{Result, StoreError};
use crate::ingest::Ingest;
use crate::transaction::Transaction;

/// What a directory that is scanned means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Itself: the result is a whole tree.
    Directory,
    /// The changes of a mount of overlayfs with these marks: the result is a tree of changes. Of
    /// mounts with `redirect_dir` or `metacopy` only what those options left alone can be read.
    Upper(OverlayMarks),
}

/// Reads a directory into a tree. Contents are hashed, not kept.
///
/// Left out are sockets, what is mounted below (its directory stays, empty), and attributes that
/// belong to the host or the file system: labels, and those of overlayfs and EROFS.
///
/// `owners` tells whose the entries are: those that the files have, or with [`Owners::Caller`] all
/// root's, where the caller's files stand for them. With [`Owners::Mapped`] the tree has the ids that a
/// user namespace sees.
///
/// # Errors
///
/// [`StoreError::CannotScan`] for what a tree cannot hold, and those of files.
pub fn scan(dir: &Dir, origin: Origin, owners: Owners) -> Result<Tree> {
    scan_into(dir, origin, owners, &mut content::Names::default())
}

impl Transaction<'_> {
    /// Reads a directory into a tree as [`scan`] does, and stores it with its contents, in a loose
    /// store never for [`Owners::Mapped`] but with the tree's own owners. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of [`scan`] and of writing.
    pub fn snapshot(&self, dir: &Dir, origin: Origin, owners: Owners) -> Result<(ObjectId, Tree)> {
        let stored = if owners == Owners::Caller { owners } else { Owners::AsInTree };
        let mut contents = Ingest::new(self, stored)?;
        let tree = scan_into(dir, origin, owners, &mut contents)?;
        Ok((contents.finish(self, &tree)?, tree))
    }
}

fn scan_into<S: LayerSink<Error = StoreError>>(
    dir: &Dir,
    origin: Origin,
    owners: Owners,
    sink: &mut S,
) -> Result<Tree> {
    let mut scan = Scan {
        root: dir,
        device: dir.stat_self()?.st_dev,
        origin,
        owners,
        sink,
        entries: Vec::new(),
        inodes: HashMap::new(),
        todo: vec![Vec::new()],
        buffer: Vec::new(),
    };
    while let Some(path) = scan.todo.pop() {
        scan.directory(&path)?;
    }
    let invalid = |source| StoreError::Listing { source: Box::new(source) };
    Tree::from_unsorted(scan.entries).map_err(invalid)
}

/// One scan under way.
///
/// Directories are opened by their paths, one at a time: a tree may be deeper than a process can
/// have open files.
struct Scan<'a, S> {
    root: &'a Dir,
    /// The file system of the root.
    device: u64,
    origin: Origin,
    owners: Owners,
    sink: &'a mut S,
    /// In the order they were met, which is not that of a tree.
    entries: Vec<Entry>,
    /// Device and number of each inode with several names, and its entry.
    inodes: HashMap<(u64, u64), u32>,
    /// Paths of directories yet to be read.
    todo: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl<S: LayerSink<Error = StoreError>> Scan<'_, S> {
    fn directory(&mut self, path: &[u8]) -> Result<()> {
        let Some(dir) = self.open(path)? else { return Ok(()) };
        let stat = dir.stat_self()?;
        let attributes = self.attributes(dir.as_fd(), path)?;
        let kind = Kind::Directory { opaque: attributes.opaque, implied: false };
        let meta = Meta { xattrs: attributes.xattrs, ..self.meta(&stat) };
        self.push(path, meta, kind)?;
        if stat.st_dev != self.device {
            return Ok(());
        }
        for entry in dir.entries()? {
            let name = entry?.name;
            let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
            let path = [path, slash, name.as_bytes()].concat();
            if let Some(fd) = self.open_name(&dir, &name)? {
                self.name(&fd, path)?;
            }
        }
        Ok(())
    }

    /// Opens a directory by its path; `None` where it has gone or is something else by now.
    fn open(&self, path: &[u8]) -> Result<Option<Dir>> {
        if path.is_empty() {
            return Ok(Some(self.root.try_clone()?));
        }
        let path = Path::new(OsStr::from_bytes(path));
        match self.root.open_dir_within(path, Scope::NoLinks) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if has_gone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens whatever has a name, without effects on it; `None` where it has gone.
    fn open_name(&self, dir: &Dir, name: &OsStr) -> Result<Option<OwnedFd>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(StoreError::io("open", &dir.path().join(name))(errno.into())),
        }
    }

    fn name(&mut self, fd: &OwnedFd, path: Vec<u8>) -> Result<()> {
        let failed = |errno: Errno| self.failed("measure", &path)(errno);
        let stat = rustix::fs::fstat(fd).map_err(failed)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.todo.push(path);
                return Ok(());
            }
            FileType::Socket => return Ok(()),
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                return match self.origin {
                    Origin::Upper(_) => self.push(&path, Meta::default(), Kind::Whiteout),
                    Origin::Directory => Err(self.refuse(&path, "it is the device 0:0")),
                };
            }
            kind => kind,
        };
        let inode = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.inodes.get(&inode) {
            return self.push(&path, Meta::default(), Kind::HardLink { entry: *first });
        }
        if stat.st_nlink > 1 {
            self.inodes.insert(inode, self.number()?);
        }
        let xattrs = self.attributes(fd.as_fd(), &path)?.xattrs;
        let kind = self.kind(fd, kind, &stat, &path)?;
        let meta = Meta { xattrs, ..self.meta(&stat) };
        self.push(&path, meta, kind)
    }

    fn kind(&mut self, fd: &OwnedFd, kind: FileType, stat: &Stat, path: &[u8]) -> Result<Kind> {
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        Ok(match kind {
            FileType::RegularFile => self.content(&self.reopen(fd, path)?, stat, path)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(fd, c"", Vec::new());
                let target = target.map_err(|errno| self.failed("read", path)(errno))?;
                Kind::Symlink { target: target.into_bytes().into() }
            }
            FileType::CharacterDevice => Kind::CharDevice { major, minor },
            FileType::BlockDevice => Kind::BlockDevice { major, minor },
            FileType::Fifo => Kind::Fifo,
            _ => return Err(self.refuse(path, "it is of an unknown type")),
        })
    }

    /// Opens for reading what was opened by name.
    fn reopen(&self, fd: &OwnedFd, path: &[u8]) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = rustix::fs::open(proc_path(fd.as_fd()), flags, Mode::empty());
        file.map(File::from).map_err(|errno| self.failed("open", path)(errno))
    }

    fn meta(&self, stat: &Stat) -> Meta {
        let (uid, gid) = match self.owners {
            Owners::AsInTree => (stat.st_uid, stat.st_gid),
            Owners::Caller => (0, 0),
            Owners::Mapped(ids) => ids.inside(stat.st_uid, stat.st_gid),
        };
        Meta {
            mode: (stat.st_mode & 0o7777) as u16,
            uid,
            gid,
            mtime_s: stat.st_mtime,
            mtime_ns: stat.st_mtime_nsec as u32,
            xattrs: Vec::new(),
        }
    }

    /// The number that the next entry gets.
    fn number(&self) -> Result<u32> {
        let limit = listing::Limits::default().entries;
        let number = u32::try_from(self.entries.len()).ok().filter(|number| *number < limit);
        number.ok_or(StoreError::TooLarge { what: "directory" })
    }

    fn push(&mut self, path: &[u8], meta: Meta, kind: Kind) -> Result<()> {
        self.number()?;
        self.entries.push(Entry { path: path.into(), meta, kind });
        Ok(())
    }

    fn failed(
        &self,
        action: &'static str,
        path: &[u8],
    ) -> impl FnOnce(Errno) -> StoreError + use<S> {
        let path = self.root.path().join(OsStr::from_bytes(path));
        move |errno| StoreError::Io { action, path, source: errno.into() }
    }

    fn refuse(&self, path: &[u8], reason: &'static str) -> StoreError {
        let path = self.root.path().join(OsStr::from_bytes(path));
        StoreError::CannotScan { path, reason }
    }
}

/// The name by which `/proc` knows an open file, of whatever type.
fn proc_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Tells whether a directory is not there any more, or something else is.
fn has_gone(error: &PathError) -> bool {
    let errno = Errno::from_io_error(&error.source);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}
