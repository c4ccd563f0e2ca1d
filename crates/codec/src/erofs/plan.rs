//! What each inode of an image holds, before it has a place.

use std::collections::HashMap;

use super::format::{self, BLOCK_BYTES, COMPACT_BYTES, DIRENT_BYTES, EXTENDED_BYTES};
use super::xattr::Table;
use super::{Options, Placement, WriteError};
use crate::tree::{Entry, Kind, Tree, path};

/// The data of an inode.
pub(super) enum Data {
    /// Bytes in the image.
    Bytes(Vec<u8>),
    /// A directory whose entries take that many bytes; they are made when all inodes have numbers.
    Directory { size: usize, blocks: Vec<usize> },
    /// Blocks of an extra device (0-based).
    Chunk { device: u16, block: u32 },
    /// A device number, or zero for pipes and sockets.
    Device(u32),
}

/// An inode and what it holds.
pub(super) struct Inode {
    pub(super) mode: u16,
    pub(super) nlink: u32,
    pub(super) size: u64,
    pub(super) compact: bool,
    pub(super) xattrs: Vec<u32>,
    pub(super) data: Data,
}

impl Inode {
    /// Length of the inode itself, without attributes.
    pub(super) const fn head_bytes(&self) -> usize {
        if self.compact { COMPACT_BYTES } else { EXTENDED_BYTES }
    }
}

/// The time that inodes without one of their own have: the one that most entries share.
pub(super) fn common_time(tree: &Tree) -> (i64, u32) {
    let mut counts: HashMap<(i64, u32), usize> = HashMap::new();
    for entry in tree.entries.iter().filter(|entry| entry.kind.has_meta()) {
        *counts.entry((entry.meta.mtime_s, entry.meta.mtime_ns)).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(time, count)| (*count, core::cmp::Reverse(*time)));
    most.map_or((0, 0), |(time, _)| time)
}

/// Counts the links of each entry's inode: names of a file, 2 and subdirectories of a directory.
pub(super) fn count_links(tree: &Tree) -> Vec<u32> {
    let mut links: Vec<u32> =
        tree.entries.iter().map(|e| if e.kind.is_directory() { 2 } else { 1 }).collect();
    let mut open: Vec<usize> = Vec::new();
    for (index, entry) in tree.entries.iter().enumerate() {
        let is_below = |at: &usize| {
            tree.entries.get(*at).is_some_and(|dir| path::is_below(&entry.path, &dir.path))
        };
        while open.last().is_some_and(|at| !is_below(at)) {
            open.pop();
        }
        let linked = match entry.kind {
            Kind::HardLink { entry } => Some(entry as usize),
            Kind::Directory { .. } => open.last().copied(),
            _ => None,
        };
        if let Some(count) = linked.and_then(|at| links.get_mut(at)) {
            *count = count.saturating_add(1);
        }
        if entry.kind.is_directory() {
            open.push(index);
        }
    }
    links
}

/// Plans the inode of one entry; `None` for a hard link.
pub(super) fn plan(
    entry: &Entry,
    nlink: u32,
    time: (i64, u32),
    options: &Options,
    table: &mut Table,
    place: &dyn Fn(&creel_base::digest::ObjectId, u64) -> Option<Placement>,
) -> Result<Option<Inode>, WriteError> {
    let unsupported = |what| WriteError::Unsupported { path: entry.path.clone(), what };
    let device = |major, minor| {
        format::encode_device(major, minor)
            .map(Data::Device)
            .ok_or_else(|| unsupported("device number"))
    };
    let (file_type, data) = match &entry.kind {
        Kind::HardLink { .. } => return Ok(None),
        Kind::LowerLink { .. } => return Err(WriteError::Unresolved { path: entry.path.clone() }),
        Kind::Directory { .. } => {
            (format::S_IFDIR, Data::Directory { size: 0, blocks: Vec::new() })
        }
        Kind::File { size: 0, .. } => (format::S_IFREG, Data::Bytes(Vec::new())),
        Kind::File { size, object } => {
            let missing = || WriteError::NoObject { path: entry.path.clone(), object: *object };
            let placement = place(object, *size).ok_or_else(missing)?;
            (format::S_IFREG, placed(entry, *size, placement, options)?)
        }
        Kind::Symlink { target } => (format::S_IFLNK, Data::Bytes(target.to_vec())),
        Kind::CharDevice { major: 0, minor: 0 } => {
            return Err(unsupported(
                "a character device 0:0, which overlayfs takes for a whiteout",
            ));
        }
        Kind::CharDevice { major, minor } => (format::S_IFCHR, device(*major, *minor)?),
        Kind::BlockDevice { major, minor } => (format::S_IFBLK, device(*major, *minor)?),
        Kind::Whiteout => (format::S_IFCHR, Data::Device(0)),
        Kind::Fifo => (format::S_IFIFO, Data::Device(0)),
        Kind::Socket => (format::S_IFSOCK, Data::Device(0)),
    };
    let size = match (&entry.kind, &data) {
        (Kind::File { size, .. }, _) => *size,
        (_, Data::Bytes(bytes)) => bytes.len() as u64,
        _ => 0,
    };
    let meta = &entry.meta;
    let has_common_time = !entry.kind.has_meta() || (meta.mtime_s, meta.mtime_ns) == time;
    let compact = has_common_time
        && meta.uid <= 0xffff
        && meta.gid <= 0xffff
        && nlink <= 0xffff
        && size <= u64::from(u32::MAX);
    let xattrs = table.add(entry, options).map_err(unsupported)?;
    Ok(Some(Inode { mode: file_type | meta.mode, nlink, size, compact, xattrs, data }))
}

fn placed(
    entry: &Entry,
    size: u64,
    placement: Placement,
    options: &Options,
) -> Result<Data, WriteError> {
    let bad = |what| Err(WriteError::BadPlacement { path: entry.path.clone(), what });
    match placement {
        Placement::Inline(bytes) if bytes.len() as u64 == size => Ok(Data::Bytes(bytes)),
        Placement::Inline(_) => bad("inline content has another size"),
        Placement::Chunk { device, block } => {
            let Some(slot) = options.devices.get(usize::from(device)) else {
                return bad("there is no such device");
            };
            let end = u64::from(block) + size.div_ceil(BLOCK_BYTES as u64);
            if end > u64::from(slot.blocks) {
                return bad("it ends beyond its device");
            }
            // One chunk is at most 2^31 blocks, and is what a file gets.
            if end - u64::from(block) > 1 << 31 {
                return bad("the file is above 8 TiB");
            }
            Ok(Data::Chunk { device, block })
        }
    }
}

/// Lays out the names of a directory: its size in bytes, and how many entries each block has.
pub(super) fn directory_blocks<'a>(names: impl Iterator<Item = &'a [u8]>) -> (usize, Vec<usize>) {
    let (mut blocks, mut count, mut used) = (Vec::new(), 0, 0);
    for name in names {
        let need = DIRENT_BYTES + name.len();
        if used + need > BLOCK_BYTES {
            blocks.push(count);
            (count, used) = (0, 0);
        }
        count += 1;
        used += need;
    }
    let size = blocks.len() * BLOCK_BYTES + used;
    blocks.push(count);
    (size, blocks)
}
