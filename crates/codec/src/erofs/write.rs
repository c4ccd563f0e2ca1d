//! Writing an image.

use creel_base::digest::ObjectId;

use super::checksum::crc32c;
use super::format::{self, BLOCK_BYTES, DEVICE_SLOT_BYTES, SUPER_BYTES, SUPER_OFFSET};
use super::layout::{self, Place};
use super::plan::{self, Data, Inode};
use super::xattr::Table;
use super::{Options, Placement, WriteError};
use crate::tree::{Tree, path};

/// Most extra devices: the root inode comes after their slots and its number has 16 bits.
const MAX_DEVICES: usize = 1024;

/// Writes the image of a tree: the bytes of its metadata device, whole blocks.
///
/// `place` says where an object of a given size in bytes is, `None` if nowhere; it is asked once
/// for each regular file that is not empty. The result depends on nothing but the arguments.
///
/// # Errors
///
/// If the tree is not valid or not resolved, an object is missing, or EROFS cannot hold an entry.
pub fn write(
    tree: &Tree,
    place: &dyn Fn(&ObjectId, u64) -> Option<Placement>,
    options: &Options,
) -> Result<Vec<u8>, WriteError> {
    tree.validate()?;
    if options.devices.len() > MAX_DEVICES {
        return Err(WriteError::TooLarge);
    }
    let time = plan::common_time(tree);
    let mut table = Table::default();
    let mut inodes = Vec::with_capacity(tree.entries.len());
    for (entry, nlink) in tree.entries.iter().zip(plan::count_links(tree)) {
        inodes.push(plan::plan(entry, nlink, time, options, &mut table, place)?);
    }
    let names = directory_names(tree);
    for (inode, names) in inodes.iter_mut().zip(&names) {
        if let Some(inode) = inode
            && let Data::Directory { size, blocks } = &mut inode.data
        {
            (*size, *blocks) = plan::directory_blocks(names.iter().map(|(name, _)| *name));
            inode.size = *size as u64;
            inode.compact &= inode.size <= u64::from(u32::MAX);
        }
    }
    let shared_bytes = table.place_shared();
    Image { tree, options, time, inodes, names, table, shared_bytes }.build()
}

/// Names of each directory in on-disk order, with the index of the entry each leads to.
type Names<'a> = Vec<(&'a [u8], usize)>;

fn directory_names(tree: &Tree) -> Vec<Names<'_>> {
    let mut names: Vec<Names<'_>> = vec![Vec::new(); tree.entries.len()];
    let mut open: Vec<usize> = Vec::new();
    for (index, entry) in tree.entries.iter().enumerate() {
        let is_below = |at: &usize| {
            tree.entries.get(*at).is_some_and(|dir| path::is_below(&entry.path, &dir.path))
        };
        while open.last().is_some_and(|at| !is_below(at)) {
            open.pop();
        }
        let parent = open.last().copied();
        if let Some(list) = parent.and_then(|parent| names.get_mut(parent)) {
            list.push((path::name(&entry.path), tree.inode_index(index)));
        }
        if entry.kind.is_directory() {
            if let Some(list) = names.get_mut(index) {
                list.extend([(&b"."[..], index), (&b".."[..], parent.unwrap_or(index))]);
            }
            open.push(index);
        }
    }
    for list in &mut names {
        list.sort_unstable();
    }
    names
}

struct Image<'a> {
    tree: &'a Tree,
    options: &'a Options,
    time: (i64, u32),
    inodes: Vec<Option<Inode>>,
    names: Vec<Names<'a>>,
    table: Table,
    shared_bytes: usize,
}

impl Image<'_> {
    fn build(self) -> Result<Vec<u8>, WriteError> {
        let mut next = SUPER_OFFSET + SUPER_BYTES + self.options.devices.len() * DEVICE_SLOT_BYTES;
        let mut places = Vec::with_capacity(self.inodes.len());
        let mut bodies = Vec::with_capacity(self.inodes.len());
        for (inode, entry) in self.inodes.iter().zip(&self.tree.entries) {
            let unsupported = |what| WriteError::Unsupported { path: entry.path.clone(), what };
            let Some(inode) = inode else {
                places.push(Place::default());
                bodies.push(Vec::new());
                continue;
            };
            let body = self.table.body(&inode.xattrs).map_err(unsupported)?;
            let (place, end) = layout::place(inode, inode.head_bytes() + body.len(), next);
            next = end;
            places.push(place);
            bodies.push(body);
        }
        let shared_block = next.div_ceil(BLOCK_BYTES);
        let mut block = shared_block + self.shared_bytes.div_ceil(BLOCK_BYTES);
        for place in &mut places {
            place.block = block;
            block += place.blocks;
        }
        u32::try_from(block).map_err(|_| WriteError::TooLarge)?;
        let mut out = vec![0; block * BLOCK_BYTES];
        for (index, body) in bodies.iter().enumerate() {
            self.put_inode(&mut out, index, &places, body);
        }
        let mut at = shared_block * BLOCK_BYTES;
        for bytes in self.table.shared_area() {
            at = put(&mut out, at, bytes);
        }
        self.put_devices(&mut out, block as u32)?;
        self.put_superblock(&mut out, &places, shared_block as u32, block as u32);
        Ok(out)
    }

    fn put_inode(&self, out: &mut [u8], index: usize, places: &[Place], body: &[u8]) {
        let inode = self.inodes.get(index).and_then(Option::as_ref);
        let (Some(inode), Some(place)) = (inode, places.get(index)) else { return };
        let at = put(out, place.offset, &self.head(inode, index, place, body));
        let at = put(out, at, body);
        match &inode.data {
            Data::Bytes(bytes) => put_data(out, at, place, bytes),
            Data::Directory { size, blocks } => {
                put_data(out, at, place, &self.dirents(index, places, *size, blocks));
            }
            Data::Chunk { device, block } => {
                let at = at.next_multiple_of(format::CHUNK_INDEX_BYTES);
                let at = put(out, at + 2, &(device + 1).to_le_bytes());
                put(out, at, &block.to_le_bytes());
            }
            Data::Device(_) => {}
        }
    }

    /// Encodes the inode itself, compact or extended.
    fn head(&self, inode: &Inode, index: usize, place: &Place, body: &[u8]) -> Vec<u8> {
        let meta = self.tree.entries.get(index).map(|e| e.meta.clone()).unwrap_or_default();
        let version = u16::from(!inode.compact);
        let xattr_count =
            if body.is_empty() { 0 } else { (body.len() - format::XATTR_HEADER_BYTES) / 4 + 1 };
        let mut out = Vec::with_capacity(inode.head_bytes());
        out.extend_from_slice(&(version | place.layout << 1).to_le_bytes());
        out.extend_from_slice(&(xattr_count as u16).to_le_bytes());
        out.extend_from_slice(&inode.mode.to_le_bytes());
        let union = union_field(inode, place);
        let number = (index as u32).wrapping_add(1);
        if inode.compact {
            out.extend_from_slice(&(inode.nlink as u16).to_le_bytes());
            out.extend_from_slice(&(inode.size as u32).to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&union.to_le_bytes());
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&(meta.uid as u16).to_le_bytes());
            out.extend_from_slice(&(meta.gid as u16).to_le_bytes());
        } else {
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&inode.size.to_le_bytes());
            out.extend_from_slice(&union.to_le_bytes());
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&meta.uid.to_le_bytes());
            out.extend_from_slice(&meta.gid.to_le_bytes());
            out.extend_from_slice(&meta.mtime_s.to_le_bytes());
            out.extend_from_slice(&meta.mtime_ns.to_le_bytes());
            out.extend_from_slice(&inode.nlink.to_le_bytes());
        }
        out.resize(inode.head_bytes(), 0);
        out
    }

    fn dirents(&self, index: usize, places: &[Place], size: usize, blocks: &[usize]) -> Vec<u8> {
        let mut out = Vec::with_capacity(size);
        let mut rest = self.names.get(index).map(Vec::as_slice).unwrap_or_default();
        for count in blocks {
            out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
            let (block, tail) = rest.split_at_checked(*count).unwrap_or((rest, &[]));
            rest = tail;
            let mut name_offset = count * format::DIRENT_BYTES;
            for (name, target) in block {
                let nid = places.get(*target).map_or(0, |p| p.offset / format::INODE_SLOT_BYTES);
                let mode = self.inodes.get(*target).and_then(Option::as_ref).map_or(0, |i| i.mode);
                out.extend_from_slice(&(nid as u64).to_le_bytes());
                out.extend_from_slice(&(name_offset as u16).to_le_bytes());
                out.extend_from_slice(&[format::dirent_type(mode), 0]);
                name_offset += name.len();
            }
            block.iter().for_each(|(name, _)| out.extend_from_slice(name));
        }
        out
    }

    /// Each device is mapped to where it lies when image and devices are one file, in order.
    fn put_devices(&self, out: &mut [u8], blocks: u32) -> Result<(), WriteError> {
        let mut mapped = blocks;
        let mut at = SUPER_OFFSET + SUPER_BYTES;
        for device in &self.options.devices {
            if device.tag.len() > format::DEVICE_TAG_BYTES {
                return Err(WriteError::TooLarge);
            }
            put(out, at, &device.tag);
            put(out, at + 64, &device.blocks.to_le_bytes());
            put(out, at + 68, &mapped.to_le_bytes());
            mapped = mapped.checked_add(device.blocks).ok_or(WriteError::TooLarge)?;
            at += DEVICE_SLOT_BYTES;
        }
        Ok(())
    }

    fn put_superblock(&self, out: &mut [u8], places: &[Place], shared_block: u32, blocks: u32) {
        let field = |out: &mut [u8], offset, bytes: &[u8]| put(out, SUPER_OFFSET + offset, bytes);
        let root = places.first().map_or(0, |place| place.offset / format::INODE_SLOT_BYTES);
        let inodes = self.inodes.iter().flatten().count() as u64;
        let devices = self.options.devices.len() as u16;
        let incompat = format::INCOMPAT_CHUNKED_FILE
            | if devices > 0 { format::INCOMPAT_DEVICE_TABLE } else { 0 };
        let mut uuid = [0; 16];
        uuid.iter_mut().zip(self.options.tree.0).for_each(|(to, from)| *to = from);
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        field(out, 0, &format::MAGIC.to_le_bytes());
        field(out, 8, &(format::COMPAT_SB_CHKSUM | format::COMPAT_MTIME).to_le_bytes());
        field(out, 12, &[format::BLOCK_BITS]);
        field(out, 14, &(root as u16).to_le_bytes());
        field(out, 16, &inodes.to_le_bytes());
        field(out, 24, &self.time.0.to_le_bytes());
        field(out, 32, &self.time.1.to_le_bytes());
        field(out, 36, &blocks.to_le_bytes());
        field(out, 44, &shared_block.to_le_bytes());
        field(out, 48, &uuid);
        field(out, 80, &incompat.to_le_bytes());
        field(out, 86, &devices.to_le_bytes());
        let slot = (SUPER_OFFSET + SUPER_BYTES) / DEVICE_SLOT_BYTES;
        field(out, 88, &(if devices > 0 { slot as u16 } else { 0 }).to_le_bytes());
        let covered = out.get(SUPER_OFFSET..BLOCK_BYTES).unwrap_or_default();
        let checksum = crc32c(covered.iter().copied());
        field(out, 4, &checksum.to_le_bytes());
    }
}

/// Encodes the field whose meaning depends on the kind and the layout.
fn union_field(inode: &Inode, place: &Place) -> u32 {
    match &inode.data {
        Data::Device(device) => *device,
        Data::Chunk { .. } => {
            let blocks = inode.size.div_ceil(BLOCK_BYTES as u64);
            u32::from(format::CHUNK_INDEXES) | blocks.next_power_of_two().trailing_zeros()
        }
        Data::Bytes(_) | Data::Directory { .. } => place.block as u32,
    }
}

/// Writes data of an inode: its own blocks, then the tail behind the inode.
fn put_data(out: &mut [u8], tail_at: usize, place: &Place, data: &[u8]) {
    let own = (place.blocks * BLOCK_BYTES).min(data.len());
    let (blocks, tail) = data.split_at(own);
    put(out, place.block * BLOCK_BYTES, blocks);
    put(out, tail_at, tail);
}

/// Copies bytes to an offset and returns the offset after them.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    if let Some(to) = out.get_mut(at..end) {
        to.copy_from_slice(bytes);
    }
    end
}
