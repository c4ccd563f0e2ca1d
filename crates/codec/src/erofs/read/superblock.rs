//! The superblock and the device table.

use super::super::checksum::crc32c;
use super::super::format::{self, BLOCK_BYTES, DEVICE_SLOT_BYTES, SUPER_OFFSET};
use super::{ReadError, slice, u16_at, u32_at, u64_at};

pub(super) struct Superblock {
    pub(super) root: u64,
    pub(super) time: (i64, u32),
    /// Byte offset of the area of shared attributes.
    pub(super) shared: usize,
    /// Length of each extra device in blocks.
    pub(super) devices: Vec<u32>,
}

impl Superblock {
    pub(super) fn read(image: &[u8]) -> Result<Self, ReadError> {
        let what = "superblock";
        let at = |offset| SUPER_OFFSET + offset;
        if u32_at(image, at(0), what) != Ok(format::MAGIC) {
            return Err(ReadError::BadMagic);
        }
        let covered = slice(image, SUPER_OFFSET, BLOCK_BYTES - SUPER_OFFSET, what)?;
        let without_sum =
            covered.iter().enumerate().map(|(i, b)| if (4..8).contains(&i) { 0 } else { *b });
        if u32_at(image, at(4), what)? != crc32c(without_sum) {
            return Err(ReadError::BadChecksum);
        }
        if image.get(at(12)) != Some(&format::BLOCK_BITS) {
            return Err(ReadError::Unsupported("block size"));
        }
        let known = format::INCOMPAT_CHUNKED_FILE | format::INCOMPAT_DEVICE_TABLE;
        if u32_at(image, at(80), what)? & !known != 0 {
            return Err(ReadError::Unsupported("incompatible features"));
        }
        if u32_at(image, at(40), what)? != 0 {
            return Err(ReadError::Unsupported("metadata area elsewhere"));
        }
        if u64::from(u32_at(image, at(36), what)?) * BLOCK_BYTES as u64 != image.len() as u64 {
            return Err(ReadError::Invalid("number of blocks"));
        }
        let count = usize::from(u16_at(image, at(86), what)?);
        let table = usize::from(u16_at(image, at(88), what)?) * DEVICE_SLOT_BYTES;
        let blocks = |i| u32_at(image, table + i * DEVICE_SLOT_BYTES + 64, "device table");
        Ok(Self {
            root: u64::from(u16_at(image, at(14), what)?),
            time: (u64_at(image, at(24), what)?.cast_signed(), u32_at(image, at(32), what)?),
            shared: (u32_at(image, at(44), what)? as usize).saturating_mul(BLOCK_BYTES),
            devices: (0..count).map(blocks).collect::<Result<_, _>>()?,
        })
    }
}
