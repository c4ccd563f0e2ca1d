//! From the root down to every name.

use std::collections::{HashMap, HashSet};

use creel_base::digest::ObjectId;

use super::super::format::{self, BLOCK_BYTES, DIRENT_BYTES};
use super::super::{FINGERPRINT, OverlayMarks, xattr::mark_prefix};
use super::inode::Inode;
use super::superblock::Superblock;
use super::{Content, Limits, ReadError, u16_at, u64_at, xattrs};
use crate::tree::{Entry, Kind, Meta, Tree, Xattr, path};

pub(super) struct Walk<'a> {
    image: &'a [u8],
    superblock: Superblock,
    object: &'a dyn Fn(&Content) -> Option<ObjectId>,
    limits: &'a Limits,
    entries: Vec<Entry>,
    /// Entry that holds each inode that is no directory.
    files: HashMap<u64, u32>,
    directories: HashSet<u64>,
    data_left: usize,
    xattr_left: usize,
    paths_left: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        image: &'a [u8],
        superblock: Superblock,
        object: &'a dyn Fn(&Content) -> Option<ObjectId>,
        limits: &'a Limits,
    ) -> Self {
        Self {
            image,
            superblock,
            object,
            limits,
            entries: Vec::new(),
            files: HashMap::new(),
            directories: HashSet::new(),
            data_left: image.len(),
            xattr_left: limits.xattr_bytes,
            paths_left: limits.all_paths_bytes,
        }
    }

    pub(super) fn run(mut self) -> Result<Tree, ReadError> {
        let root = self.superblock.root;
        let mut waiting = vec![(root, root, Box::<[u8]>::default())];
        while let Some((nid, parent, path)) = waiting.pop() {
            let inode = Inode::read(self.image, nid, self.superblock.time)?;
            if self.entries.len() >= self.limits.entries {
                return Err(ReadError::TooLarge("entries"));
            }
            self.paths_left =
                self.paths_left.checked_sub(path.len()).ok_or(ReadError::TooLarge("paths"))?;
            if inode.mode & format::S_IFMT != format::S_IFDIR {
                self.add_file(nid, &inode, path)?;
                continue;
            }
            if !self.directories.insert(nid) {
                return Err(ReadError::Invalid("directory has two names"));
            }
            self.add(&inode, path.clone())?;
            self.add_names(&inode, (nid, parent), &path, &mut waiting)?;
        }
        Ok(Tree::from_unsorted(self.entries)?)
    }

    fn add_file(&mut self, nid: u64, inode: &Inode, path: Box<[u8]>) -> Result<(), ReadError> {
        if let Some(entry) = self.files.get(&nid) {
            let kind = Kind::HardLink { entry: *entry };
            self.entries.push(Entry { path, meta: Meta::default(), kind });
            return Ok(());
        }
        let index =
            u32::try_from(self.entries.len()).map_err(|_| ReadError::TooLarge("entries"))?;
        self.files.insert(nid, index);
        self.add(inode, path)
    }

    fn add(&mut self, inode: &Inode, path: Box<[u8]>) -> Result<(), ReadError> {
        let mut meta = Meta {
            mode: inode.mode & 0o7777,
            uid: inode.uid,
            gid: inode.gid,
            mtime_s: inode.time.0,
            mtime_ns: inode.time.1,
            xattrs: xattrs::read(self.image, inode, self.superblock.shared, &mut self.xattr_left)?,
        };
        let opaque = take_marks(&mut meta.xattrs);
        let fingerprint = take(&mut meta.xattrs, FINGERPRINT);
        let kind = self.kind(inode, opaque, &path, fingerprint.as_deref())?;
        if !kind.has_meta() {
            meta = Meta::default();
        }
        self.entries.push(Entry { path, meta, kind });
        Ok(())
    }

    fn kind(
        &mut self,
        inode: &Inode,
        opaque: bool,
        path: &[u8],
        fingerprint: Option<&[u8]>,
    ) -> Result<Kind, ReadError> {
        let (major, minor) = format::decode_device(inode.union);
        Ok(match inode.mode & format::S_IFMT {
            format::S_IFDIR => Kind::Directory { opaque, implied: false },
            format::S_IFREG => {
                let content =
                    inode.content(self.image, &self.superblock.devices, &mut self.data_left)?;
                let object = (self.object)(&content)
                    .filter(|object| fingerprint.is_none_or(|fp| fp == object.0))
                    .ok_or_else(|| ReadError::BadContent { path: path.into() })?;
                Kind::File { size: inode.size, object }
            }
            format::S_IFLNK => {
                Kind::Symlink { target: inode.bytes(self.image, &mut self.data_left)?.into() }
            }
            format::S_IFCHR if inode.union == 0 => Kind::Whiteout,
            format::S_IFCHR => Kind::CharDevice { major, minor },
            format::S_IFBLK => Kind::BlockDevice { major, minor },
            format::S_IFIFO => Kind::Fifo,
            format::S_IFSOCK => Kind::Socket,
            _ => return Err(ReadError::Invalid("file type")),
        })
    }

    /// Adds what a directory holds to what waits to be read.
    fn add_names(
        &mut self,
        inode: &Inode,
        (own, parent): (u64, u64),
        directory: &[u8],
        waiting: &mut Vec<(u64, u64, Box<[u8]>)>,
    ) -> Result<(), ReadError> {
        let data = inode.bytes(self.image, &mut self.data_left)?;
        for block in data.chunks(BLOCK_BYTES) {
            for (name, nid) in names(block)? {
                let expected = match name {
                    b"." => own,
                    b".." => parent,
                    _ if !path::is_valid_name(name) => {
                        return Err(ReadError::Invalid("name"));
                    }
                    _ => {
                        let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
                        let child = [directory, slash, name].concat();
                        if child.len() > self.limits.path_bytes {
                            return Err(ReadError::TooLarge("path"));
                        }
                        waiting.push((nid, own, child.into()));
                        continue;
                    }
                };
                if nid != expected {
                    return Err(ReadError::Invalid("`.` or `..` leads elsewhere"));
                }
            }
            if waiting.len() > self.limits.entries {
                return Err(ReadError::TooLarge("entries"));
            }
        }
        Ok(())
    }
}

/// Takes one block of a directory apart.
fn names(block: &[u8]) -> Result<Vec<(&[u8], u64)>, ReadError> {
    let bad = ReadError::Invalid("directory entry");
    let offset = |i: usize| u16_at(block, i * DIRENT_BYTES + 8, "directory entry").map(usize::from);
    let first = offset(0)?;
    if first == 0 || first % DIRENT_BYTES != 0 || first > block.len() {
        return Err(bad);
    }
    let count = first / DIRENT_BYTES;
    let mut out = Vec::with_capacity(count);
    for index in 0..count {
        let start = offset(index)?;
        let last = index + 1 == count;
        let end = if last { block.len() } else { offset(index + 1)? };
        let name = block.get(start..end).ok_or_else(|| bad.clone())?;
        // The last name of a full block is followed by zeros.
        let length = name.iter().position(|b| *b == 0).filter(|_| last).unwrap_or(name.len());
        let name = name.get(..length).unwrap_or_default();
        out.push((name, u64_at(block, index * DIRENT_BYTES, "directory entry")?));
    }
    if !out.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(ReadError::Invalid("directory is not in order"));
    }
    Ok(out)
}

/// Removes an attribute and returns its value.
fn take(xattrs: &mut Vec<Xattr>, name: &[u8]) -> Option<Box<[u8]>> {
    let at = xattrs.iter().position(|xattr| *xattr.name == *name)?;
    Some(xattrs.remove(at).value)
}

/// Removes the mark of an opaque directory and the escapes of others; tells whether it was there.
fn take_marks(xattrs: &mut Vec<Xattr>) -> bool {
    let mut opaque = false;
    for overlay in [OverlayMarks::Trusted, OverlayMarks::User] {
        let prefix = mark_prefix(overlay);
        let mark = [prefix, b"opaque"].concat();
        opaque |= take(xattrs, &mark).is_some_and(|value| *value == *b"y");
        let escaped = [prefix, b"overlay."].concat();
        for xattr in xattrs.iter_mut() {
            if let Some(rest) = xattr.name.strip_prefix(&*escaped) {
                xattr.name = [prefix, rest].concat().into();
            }
        }
    }
    xattrs.sort_unstable();
    opaque
}
