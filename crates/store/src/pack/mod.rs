//! Packs: sealed files that hold many objects, and the indexes over them.
//!
//! Formats: `docs/formats/pack.md` and `docs/formats/index.md`.

pub(crate) mod encode;
pub(crate) mod index;
mod writeback;
pub(crate) mod writer;

use core::fmt;

use creel_base::digest::ObjectId;

/// Block size of packs and of the EROFS images over them, in bytes.
pub const BLOCK: u64 = 4096;
/// Objects of at most this many bytes are inlined in a tree's EROFS metadata and packed densely.
pub const INLINE_LIMIT: u64 = 2048;
/// First bytes of a pack.
pub(crate) const PACK_MAGIC: [u8; 8] = *b"creel-pk";
/// Format version of packs.
pub(crate) const PACK_VERSION: u32 = 1;

/// Name of a pack: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackId(pub [u8; 16]);

impl PackId {
    /// Returns 32 lower-case hex digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// Reads 32 lower-case hex digits; `None` for anything else.
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        let digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if hex.len() != 32 || !hex.iter().all(digit) {
            return None;
        }
        let text = core::str::from_utf8(hex).ok()?;
        u128::from_str_radix(text, 16).ok().map(|id| Self(id.to_be_bytes()))
    }

    /// File name of the pack itself.
    pub(crate) fn pack_name(&self) -> String {
        format!("pack-{}.pack", self.hex())
    }

    /// File name of its index.
    pub(crate) fn index_name(&self) -> String {
        format!("pack-{}.idx", self.hex())
    }

    /// Reads a name that [`Self::index_name`] or [`Self::pack_name`] made.
    pub(crate) fn from_name(name: &[u8], suffix: &[u8]) -> Option<Self> {
        Self::from_hex(name.strip_prefix(b"pack-")?.strip_suffix(suffix)?)
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where an object lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// In which pack.
    pub pack: PackId,
    /// First byte in the pack: a multiple of [`BLOCK`], or of 8 for objects of at most
    /// [`INLINE_LIMIT`] bytes.
    pub offset: u64,
    /// Bytes taken in the pack.
    pub stored: u64,
    /// Size of the object in bytes.
    pub logical: u64,
}

/// One object of a pack, as its index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: ObjectId,
    pub(crate) at: Location,
}

/// Rounds up to whole blocks.
pub(crate) fn align(value: u64, to: u64) -> Option<u64> {
    value.checked_next_multiple_of(to)
}
