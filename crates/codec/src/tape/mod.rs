//! The tape: what gives a layer's archive back bit for bit, without its contents.
//!
//! A sequence of records in the order of the archive: its own bytes (headers, padding, end), and
//! references to parts of contents. Specified in `docs/formats/tape.md`.

mod read;
mod write;

use creel_base::digest::ObjectId;
use creel_base::hint::Hint;

pub use read::TapeReader;
pub use write::TapeWriter;

/// Most bytes in one record.
pub const MAX_BYTES: usize = 64 << 10;

const END: u8 = 0;
const BYTES: u8 = 1;
const CONTENT: u8 = 2;
const SAME: u8 = 3;

/// The next part of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// Part of a content.
    Content(Part),
}

/// Part of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The content.
    pub object: ObjectId,
    /// Its whole size in bytes.
    pub size: u64,
    /// Where the part begins in it.
    pub offset: u64,
    /// How many bytes it has; they end at `size` at the latest.
    pub length: u64,
}

/// Why bytes are not a tape.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// They cannot be read, or end too early.
    #[error("cannot read the tape")]
    Read(#[source] std::io::Error),
    /// A record has no meaning.
    #[error("tape is not valid: {0}")]
    Invalid(&'static str),
}

impl Hint for TapeError {}
