//! Checking a tree out: its contents as files of a directory.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use creel_base::digest::ObjectId;
use creel_base::path::{Dir, IfExists};
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Entry, Kind, Tree, path};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::{Result, StoreError};
use crate::store::Store;

/// Whose the files of a checkout are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Whose the tree says, for which privileges are needed.
    AsInTree,
    /// The caller's.
    Caller,
}

impl Store {
    /// Writes a tree into a new directory at `target`, which appears as a whole or not at all.
    ///
    /// Whiteouts and opaque directories become those of overlayfs, so that the directory can be one
    /// of its layers. Contents are checked against their ids. Nothing is flushed.
    ///
    /// # Errors
    ///
    /// Beyond those of files: [`StoreError::CannotCheckOut`] for an entry that a directory cannot
    /// hold as it is.
    pub fn checkout(
        &self,
        tree: &ObjectId,
        target: &Path,
        owners: Owners,
        overlay: OverlayMarks,
    ) -> Result<()> {
        let _lease = self.reader_lease()?;
        self.checkout_tree(&self.tree(tree)?, &[*tree], target, owners, overlay)
    }

    /// Does the same with a tree that need not be in the store itself, such as layers merged: only
    /// `layers`, the trees that its contents came with, must be.
    ///
    /// # Errors
    ///
    /// Those of [`Store::checkout`].
    pub fn checkout_tree(
        &self,
        tree: &Tree,
        _layers: &[ObjectId],
        target: &Path,
        owners: Owners,
        overlay: OverlayMarks,
    ) -> Result<()> {
        let _lease = self.reader_lease()?;
        let name = target.file_name().ok_or_else(|| StoreError::CannotCheckOut {
            path: target.to_owned(),
            reason: "the directory has no name",
        })?;
        let above = match target.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let above = Dir::open(above)?;
        let number = crate::dir::random().map_err(StoreError::io("name a file in", target))?;
        let staging = format!(".tmp-{:032x}", u128::from_be_bytes(number));
        above.mkdir(&staging, Mode::RWXU)?;
        let made = Writer { store: self, tree, owners, overlay }
            .write(&above, &staging)
            .and_then(|()| Ok(above.rename(staging.as_ref(), name.as_ref(), IfExists::Fail)?));
        if made.is_err() {
            let _ = above.remove_all(&staging);
        }
        made
    }
}

/// One checkout under way.
struct Writer<'a> {
    store: &'a Store,
    tree: &'a Tree,
    owners: Owners,
    overlay: OverlayMarks,
}

/// An open directory of the checkout, kept from one entry to the next.
///
/// One at a time: a tree may be deeper than a process can have open files. No link is on the way,
/// as every parent in a tree is a directory and only its owner can change a mode 0700 directory.
struct Parent<'a> {
    root: &'a Dir,
    open: Option<(&'a [u8], Dir)>,
}

impl<'a> Parent<'a> {
    fn of(&mut self, entry: &'a Entry) -> Result<&Dir> {
        let above = path::parent(&entry.path).unwrap_or_default();
        let dir = match self.open.take() {
            Some((path, dir)) if path == above => dir,
            _ if above.is_empty() => self.root.try_clone()?,
            _ => self.root.open_dir(OsStr::from_bytes(above))?,
        };
        Ok(&self.open.insert((above, dir)).1)
    }
}

impl Writer<'_> {
    fn write(&self, above: &Dir, name: &str) -> Result<()> {
        let root = above.open_dir(name)?;
        let mut parent = Parent { root: &root, open: None };
        for entry in self.tree.entries.iter().skip(1) {
            let dir = parent.of(entry)?;
            self.make(&root, dir, entry)?;
            if !entry.kind.is_directory() && entry.kind.has_meta() {
                self.finish(dir, path::name(&entry.path), entry)?;
            }
        }
        // Last, and from below: filling a directory changes its time, and its mode may forbid it.
        for entry in self.tree.entries.iter().skip(1).rev() {
            if entry.kind.is_directory() {
                self.finish(parent.of(entry)?, path::name(&entry.path), entry)?;
            }
        }
        match self.tree.entries.first() {
            Some(entry) => self.finish(above, name.as_bytes(), entry),
            None => Ok(()),
        }
    }

    /// Makes one entry, without its metadata.
    fn make(&self, root: &Dir, dir: &Dir, entry: &Entry) -> Result<()> {
        let name = OsStr::from_bytes(path::name(&entry.path));
        match &entry.kind {
            Kind::Directory { .. } => dir.mkdir(name, Mode::RWXU)?,
            Kind::File { size, object } => self.make_file(dir, name, object, *size)?,
            Kind::Symlink { target } => dir.symlink(OsStr::from_bytes(target), name)?,
            Kind::CharDevice { major: 0, minor: 0 } => {
                return Err(refuse(dir, name, "overlayfs takes the device 0:0 for a whiteout"));
            }
            Kind::CharDevice { major, minor } => {
                make_node(dir, name, FileType::CharacterDevice, *major, *minor)?;
            }
            Kind::BlockDevice { major, minor } => {
                make_node(dir, name, FileType::BlockDevice, *major, *minor)?;
            }
            Kind::Fifo => make_node(dir, name, FileType::Fifo, 0, 0)?,
            Kind::Socket => make_node(dir, name, FileType::Socket, 0, 0)?,
            Kind::Whiteout => make_node(dir, name, FileType::CharacterDevice, 0, 0)?,
            Kind::HardLink { entry: first } => {
                let first = self.tree.entries.get(*first as usize);
                let first = first.map(|entry| &*entry.path).unwrap_or_default();
                root.hard_link(Path::new(OsStr::from_bytes(first)), dir, Path::new(name))?;
            }
            Kind::LowerLink { .. } => {
                return Err(refuse(dir, name, "it links to a file of a lower layer"));
            }
        }
        Ok(())
    }

    fn make_file(&self, dir: &Dir, name: &OsStr, object: &ObjectId, size: u64) -> Result<()> {
        let file: File = dir.create_new(name, Mode::RUSR | Mode::WUSR)?;
        if size == 0 {
            return Ok(());
        }
        let path = dir.path().join(name);
        let mut end = 0_u64;
        self.store.read_object(object, |piece| {
            // What is all zeros stays a hole.
            if piece.iter().any(|byte| *byte != 0) {
                file.write_all_at(piece, end).map_err(StoreError::io("write", &path))?;
            }
            end += piece.len() as u64;
            Ok(())
        })?;
        if end != size {
            return Err(StoreError::WrongSize { id: *object });
        }
        file.set_len(size).map_err(StoreError::io("write", &path))
    }

    /// Gives an entry its metadata. The owner comes first: a change of owner clears the set-id bits
    /// and the capabilities.
    fn finish(&self, dir: &Dir, name: &[u8], entry: &Entry) -> Result<()> {
        let name = OsStr::from_bytes(name);
        let path = dir.path().join(name);
        let failed = |action| {
            let path = &path;
            move |errno: Errno| StoreError::io(action, path)(errno.into())
        };
        let meta = &entry.meta;
        if self.owners == Owners::AsInTree {
            if meta.uid == u32::MAX || meta.gid == u32::MAX {
                return Err(refuse(dir, name, "its owner is no valid id"));
            }
            let owner = (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
            rustix::fs::chownat(dir, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed("set owner of"))?;
        }
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            let mode = Mode::from_raw_mode(u32::from(meta.mode));
            rustix::fs::chmodat(dir, name, mode, AtFlags::empty())
                .map_err(failed("set mode of"))?;
        }
        self.set_xattrs(dir, name, entry)?;
        let time = Timespec { tv_sec: meta.mtime_s, tv_nsec: meta.mtime_ns.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set time of"))
    }

    fn set_xattrs(&self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<()> {
        let marks: &[u8] = match self.overlay {
            OverlayMarks::Trusted => b"trusted.overlay.",
            OverlayMarks::User => b"user.overlay.",
        };
        // No call sets attributes relative to a directory before setxattrat of Linux 6.13.
        let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())).join(name);
        let set = |attribute: &[u8], value: &[u8]| {
            rustix::fs::lsetxattr(&path, attribute, value, XattrFlags::empty()).map_err(|errno| {
                StoreError::io("set attributes of", &dir.path().join(name))(errno.into())
            })
        };
        for xattr in &entry.meta.xattrs {
            if xattr.name.starts_with(marks) {
                return Err(refuse(dir, name, "it has an attribute of overlayfs"));
            }
            set(&xattr.name, &xattr.value)?;
        }
        match entry.kind {
            Kind::Directory { opaque: true, .. } => set(&[marks, b"opaque"].concat(), b"y"),
            _ => Ok(()),
        }
    }
}

fn make_node(dir: &Dir, name: &OsStr, kind: FileType, major: u32, minor: u32) -> Result<()> {
    let device = rustix::fs::makedev(major, minor);
    rustix::fs::mknodat(dir, name, kind, Mode::RUSR | Mode::WUSR, device)
        .map_err(|errno| StoreError::io("create", &dir.path().join(name))(errno.into()))
}

fn refuse(dir: &Dir, name: &OsStr, reason: &'static str) -> StoreError {
    StoreError::CannotCheckOut { path: dir.path().join(name), reason }
}
