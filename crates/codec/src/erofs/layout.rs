//! Where in the image everything goes.

use super::format::{self, BLOCK_BYTES, CHUNK_INDEX_BYTES, INODE_SLOT_BYTES};
use super::plan::{Data, Inode};

/// The place of one inode.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// Byte offset of the inode, a multiple of 32.
    pub(super) offset: usize,
    /// Data layout of the inode.
    pub(super) layout: u16,
    /// First of its own data blocks in the image, if it has any.
    pub(super) block: usize,
    /// Data blocks of its own.
    pub(super) blocks: usize,
}

/// Splits bytes in the image into own blocks and a tail behind the inode: layout, own blocks.
fn split(head_bytes: usize, size: usize) -> (u16, usize) {
    let tail = size % BLOCK_BYTES;
    if tail > 0 && head_bytes + tail <= BLOCK_BYTES {
        (format::FLAT_INLINE, size / BLOCK_BYTES)
    } else {
        (format::FLAT_PLAIN, size.div_ceil(BLOCK_BYTES))
    }
}

/// Places one inode at or after `next`; `head_bytes` counts the inode and its attributes. Returns
/// its place, without its data blocks' address, and the end of what stands at the inode.
pub(super) fn place(inode: &Inode, head_bytes: usize, next: usize) -> (Place, usize) {
    let offset = next.next_multiple_of(INODE_SLOT_BYTES);
    let size = match &inode.data {
        Data::Bytes(bytes) => bytes.len(),
        Data::Directory { size, .. } => *size,
        Data::Chunk { .. } => {
            let end = (offset + head_bytes).next_multiple_of(CHUNK_INDEX_BYTES) + CHUNK_INDEX_BYTES;
            return (Place { offset, layout: format::CHUNK_BASED, block: 0, blocks: 0 }, end);
        }
        Data::Device(_) => 0,
    };
    let (layout, blocks) = split(head_bytes, size);
    if layout == format::FLAT_PLAIN {
        return (Place { offset, layout, block: 0, blocks }, offset + head_bytes);
    }
    // Head and tail share one block: kernels before 6.12 refuse a symbolic link whose target is in
    // another block than its inode, and a tail must never cross blocks.
    let length = head_bytes + size % BLOCK_BYTES;
    let fits = offset % BLOCK_BYTES + length <= BLOCK_BYTES;
    let offset = if fits { offset } else { offset.next_multiple_of(BLOCK_BYTES) };
    (Place { offset, layout, block: 0, blocks }, offset + length)
}
