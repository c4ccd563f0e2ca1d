//! Making the directory of a tree, whatever its files are made of.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use creel_base::path::Dir;
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Entry, Kind, Tree, path};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use super::Owners;
use crate::error::{Result, StoreError};

/// Where the regular files of a directory come from.
pub(crate) trait Files {
    /// Makes the file `name` in `dir`, for an entry that holds its inode.
    fn put(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<Put>;
}

/// What a file is that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It has its content only.
    Bare,
    /// It shares an inode that has the metadata too.
    Whole,
}

/// What a directory is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be the tree: what cannot be as it is there is an error.
    Exact,
    /// To be a layer of the store beside the listing, which keeps what a directory cannot: links into
    /// lower layers, and what the kernel refuses to a user namespace (device nodes, some attributes).
    Layer,
}

/// One directory being made.
pub(crate) struct Writer<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) owners: Owners,
    pub(crate) overlay: OverlayMarks,
    pub(crate) purpose: Purpose,
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

/// What became of an entry.
enum Made {
    /// It needs its metadata.
    Bare,
    /// It is complete.
    Whole,
    /// It is left out.
    Nothing,
}

impl Writer<'_> {
    /// Fills the directory `name` in `above`, which is empty and the caller's.
    pub(crate) fn write(&self, files: &mut dyn Files, above: &Dir, name: &str) -> Result<()> {
        let root = above.open_dir(name)?;
        let mut parent = Parent { root: &root, open: None };
        let mut left_out = HashSet::new();
        for (number, entry) in (0_u32..).zip(&self.tree.entries).skip(1) {
            let dir = parent.of(entry)?;
            if matches!(entry.kind, Kind::HardLink { entry } if left_out.contains(&entry)) {
                continue;
            }
            match self.make(files, &root, dir, entry)? {
                Made::Bare => self.finish(dir, path::name(&entry.path), entry)?,
                Made::Whole => {}
                Made::Nothing => {
                    left_out.insert(number);
                }
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

    fn make(&self, files: &mut dyn Files, root: &Dir, dir: &Dir, entry: &Entry) -> Result<Made> {
        let name = OsStr::from_bytes(path::name(&entry.path));
        match &entry.kind {
            Kind::Directory { .. } => {
                dir.mkdir(name, Mode::RWXU)?;
                return Ok(Made::Whole);
            }
            Kind::File { .. } => {
                let put = files.put(dir, name, entry)?;
                return Ok(if put == Put::Bare { Made::Bare } else { Made::Whole });
            }
            Kind::Symlink { target } => dir.symlink(OsStr::from_bytes(target), name)?,
            Kind::HardLink { entry: first } => {
                let first = self.tree.entries.get(*first as usize);
                let first = first.map(|entry| &*entry.path).unwrap_or_default();
                root.hard_link(Path::new(OsStr::from_bytes(first)), dir, Path::new(name))?;
                return Ok(Made::Whole);
            }
            Kind::LowerLink { .. } if self.purpose == Purpose::Layer => return Ok(Made::Nothing),
            Kind::LowerLink { .. } => {
                return Err(refuse(dir, name, "it links to a file of a lower layer"));
            }
            Kind::CharDevice { major: 0, minor: 0 } => {
                return Err(refuse(dir, name, "overlayfs takes the device 0:0 for a whiteout"));
            }
            kind => return self.make_node(dir, name, kind),
        }
        Ok(Made::Bare)
    }

    fn make_node(&self, dir: &Dir, name: &OsStr, kind: &Kind) -> Result<Made> {
        let (file_type, major, minor) = match kind {
            Kind::CharDevice { major, minor } => (FileType::CharacterDevice, *major, *minor),
            Kind::BlockDevice { major, minor } => (FileType::BlockDevice, *major, *minor),
            Kind::Fifo => (FileType::Fifo, 0, 0),
            Kind::Socket => (FileType::Socket, 0, 0),
            _ => (FileType::CharacterDevice, 0, 0),
        };
        let device = rustix::fs::makedev(major, minor);
        match rustix::fs::mknodat(dir, name, file_type, Mode::RUSR | Mode::WUSR, device) {
            Ok(()) => Ok(if kind.has_meta() { Made::Bare } else { Made::Whole }),
            Err(Errno::PERM) if self.purpose == Purpose::Layer && kind.has_meta() => {
                Ok(Made::Nothing)
            }
            Err(errno) => Err(StoreError::io("create", &dir.path().join(name))(errno.into())),
        }
    }
}

pub(super) fn refuse(dir: &Dir, name: &OsStr, reason: &'static str) -> StoreError {
    StoreError::CannotCheckOut { path: dir.path().join(name), reason }
}
