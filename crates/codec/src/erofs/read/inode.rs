//! One inode and its data.

use super::super::format::{self, BLOCK_BYTES, COMPACT_BYTES, EXTENDED_BYTES, INODE_SLOT_BYTES};
use super::{Content, ReadError, slice, u16_at, u32_at, u64_at};

/// The fixed part of an inode.
pub(super) struct Inode {
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) time: (i64, u32),
    /// Device number, first block or chunk format.
    pub(super) union: u32,
    /// Offset and length of the attributes behind it.
    pub(super) xattrs: (usize, usize),
    layout: u16,
}

impl Inode {
    pub(super) fn read(image: &[u8], nid: u64, time: (i64, u32)) -> Result<Self, ReadError> {
        let what = "inode";
        let at = usize::try_from(nid).ok().and_then(|nid| nid.checked_mul(INODE_SLOT_BYTES));
        let at = at.filter(|at| *at < image.len()).ok_or(ReadError::OutOfBounds(what))?;
        let format = u16_at(image, at, what)?;
        if format > 0xf {
            return Err(ReadError::Unsupported("inode format"));
        }
        let xattr_bytes = match usize::from(u16_at(image, at + 2, what)?) {
            0 => 0,
            count => format::XATTR_HEADER_BYTES + (count - 1) * 4,
        };
        let mode = u16_at(image, at + 4, what)?;
        let (layout, union) = (format >> 1, u32_at(image, at + 16, what)?);
        if format & 1 == 0 {
            return Ok(Self {
                mode,
                size: u32_at(image, at + 8, what)?.into(),
                uid: u16_at(image, at + 24, what)?.into(),
                gid: u16_at(image, at + 26, what)?.into(),
                time,
                union,
                xattrs: (at + COMPACT_BYTES, xattr_bytes),
                layout,
            });
        }
        Ok(Self {
            mode,
            size: u64_at(image, at + 8, what)?,
            uid: u32_at(image, at + 24, what)?,
            gid: u32_at(image, at + 28, what)?,
            time: (u64_at(image, at + 32, what)?.cast_signed(), u32_at(image, at + 40, what)?),
            union,
            xattrs: (at + EXTENDED_BYTES, xattr_bytes),
            layout,
        })
    }

    /// Copies data that is in the image. `left` is how many bytes may yet be read.
    pub(super) fn bytes(&self, image: &[u8], left: &mut usize) -> Result<Vec<u8>, ReadError> {
        let what = "data of an inode";
        let size = usize::try_from(self.size).map_err(|_| ReadError::OutOfBounds(what))?;
        *left = left.checked_sub(size).ok_or(ReadError::TooLarge("overlapping data"))?;
        let tail_bytes = match self.layout {
            format::FLAT_PLAIN => 0,
            format::FLAT_INLINE => size % BLOCK_BYTES,
            _ => return Err(ReadError::Unsupported("data layout")),
        };
        let own = size - tail_bytes;
        let start = (self.union as usize).saturating_mul(BLOCK_BYTES);
        let mut out = Vec::new();
        if own > 0 {
            out.extend_from_slice(slice(image, start, own, what)?);
        }
        let tail_at = self.xattrs.0 + self.xattrs.1;
        if tail_at % BLOCK_BYTES + tail_bytes > BLOCK_BYTES {
            return Err(ReadError::Invalid("inline data crosses a block"));
        }
        out.extend_from_slice(slice(image, tail_at, tail_bytes, what)?);
        Ok(out)
    }

    /// Finds the content of a regular file.
    pub(super) fn content(
        &self,
        image: &[u8],
        devices: &[u32],
        left: &mut usize,
    ) -> Result<Content, ReadError> {
        if self.layout != format::CHUNK_BASED {
            return self.bytes(image, left).map(Content::Inline);
        }
        let what = "chunk of a file";
        let bits = self.union & u32::from(format::CHUNK_BITS_MASK);
        if self.union & !bits != u32::from(format::CHUNK_INDEXES) {
            return Err(ReadError::Unsupported("chunk format"));
        }
        let blocks = self.size.div_ceil(BLOCK_BYTES as u64);
        if blocks > 1 << bits {
            return Err(ReadError::Unsupported("file of several chunks"));
        }
        let at = (self.xattrs.0 + self.xattrs.1).next_multiple_of(format::CHUNK_INDEX_BYTES);
        let device = u16_at(image, at + 2, what)?.checked_sub(1);
        let device = device.ok_or(ReadError::Unsupported("chunk in the image itself"))?;
        let block = u32_at(image, at + 4, what)?;
        let length = devices.get(usize::from(device)).ok_or(ReadError::OutOfBounds(what))?;
        if u64::from(block).checked_add(blocks).is_none_or(|end| end > u64::from(*length)) {
            return Err(ReadError::OutOfBounds(what));
        }
        Ok(Content::Chunk { device, block, size: self.size })
    }
}
