//! The canonical listing: the bytes whose sha256 names a tree.
//!
//! Exactly one sequence of bytes stands for each tree, and every other is refused. The format is
//! specified in `docs/formats/listing.md`.

mod decode;
mod encode;
mod objects;
mod wire;

use creel_base::digest::ObjectId;
use creel_base::hint::Hint;

pub use decode::decode;
pub use encode::encode;
pub use objects::objects;

use crate::tree::TreeError;

/// First bytes of a listing: a name and the version of the format.
pub const MAGIC: [u8; 8] = *b"creeltr\x01";

/// What reading a listing may cost. What is beyond is an error.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Entries in a tree.
    pub entries: u32,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Bytes of all paths together, written out.
    pub all_paths_bytes: usize,
}

impl Default for Limits {
    /// 16 million entries, paths as long as Linux opens (4096 bytes), 2 GiB of them.
    fn default() -> Self {
        Self { entries: 1 << 24, path_bytes: 4096, all_paths_bytes: 2 << 30 }
    }
}

/// Why bytes are not a listing, or a tree has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// The bytes do not begin as a listing of a known version does.
    #[error("not a tree listing of version 1")]
    BadMagic,
    /// The bytes end inside an entry.
    #[error("tree listing ends too early")]
    Truncated,
    /// There are bytes after the last entry.
    #[error("tree listing has {0} bytes after its last entry")]
    TrailingBytes(usize),
    /// A field has another encoding that is shorter or that is the only one allowed.
    #[error("tree listing is not canonical: {0}")]
    NotCanonical(&'static str),
    /// A field has no meaning.
    #[error("tree listing is not valid: {0}")]
    Invalid(&'static str),
    /// A limit is exceeded.
    #[error("tree listing is too large: {0}")]
    TooLarge(&'static str),
    /// The entries do not make a tree.
    #[error("entries of the listing do not make a tree")]
    BadTree(#[from] TreeError),
}

impl Hint for ListingError {}

/// Returns the name of the tree whose listing these bytes are.
pub fn id(listing: &[u8]) -> ObjectId {
    ObjectId::of(listing)
}
