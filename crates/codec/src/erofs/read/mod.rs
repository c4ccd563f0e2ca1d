//! Reading an image back into a tree, defensively.
//!
//! Understands what [`super::write`] makes and refuses the rest of the format by name.

mod inode;
mod superblock;
mod walk;
mod xattrs;

use creel_base::digest::ObjectId;
use creel_base::hint::Hint;

use crate::tree::{Tree, TreeError};

/// What reading an image may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Names in the tree.
    pub entries: usize,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Bytes of all paths together.
    pub all_paths_bytes: usize,
    /// Bytes of all extended attributes together.
    pub xattr_bytes: usize,
}

impl Default for Limits {
    /// 16 million names, paths of 4096 bytes, 2 GiB of them, 256 MiB of attributes.
    fn default() -> Self {
        Self {
            entries: 1 << 24,
            path_bytes: 4096,
            all_paths_bytes: 2 << 30,
            xattr_bytes: 256 << 20,
        }
    }
}

/// Where the content of a regular file was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In the image: the content itself. Empty files are reported so too.
    Inline(Vec<u8>),
    /// Contiguous in an extra device.
    Chunk {
        /// Index into the device table, from 0.
        device: u16,
        /// First block (of 4096 bytes).
        block: u32,
        /// Size of the file in bytes.
        size: u64,
    },
}

/// Why an image cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no superblock with the right magic.
    #[error("not an EROFS image")]
    BadMagic,
    /// The superblock's checksum is wrong.
    #[error("superblock of the EROFS image is damaged")]
    BadChecksum,
    /// The image uses what is not read here.
    #[error("EROFS image uses what creel does not write: {0}")]
    Unsupported(&'static str),
    /// An address is outside the image or its devices.
    #[error("EROFS image points outside itself: {0}")]
    OutOfBounds(&'static str),
    /// A value contradicts the format.
    #[error("EROFS image is not valid: {0}")]
    Invalid(&'static str),
    /// A limit is exceeded, or parts of the image overlap.
    #[error("EROFS image is too large: {0}")]
    TooLarge(&'static str),
    /// The content of a file is unknown or is not what its fingerprint says.
    #[error("content of `{}` in the EROFS image is not what it should be", .path.escape_ascii())]
    BadContent {
        /// The path of the file.
        path: Box<[u8]>,
    },
    /// The names do not make a tree.
    #[error("names in the EROFS image do not make a tree")]
    BadTree(#[from] TreeError),
}

impl Hint for ReadError {}

/// Reads the tree of an image (the bytes of its metadata device).
///
/// `object` names the content of each regular file, or returns `None` for content it does not
/// know. Marks of overlayfs come back as opaque directories and whiteouts, fingerprints are checked
/// and left out. No directory is entered twice and no byte of data is read twice, so the work is
/// bounded by the image and the limits.
///
/// # Errors
///
/// See [`ReadError`]; never panics.
pub fn read(
    image: &[u8],
    object: &dyn Fn(&Content) -> Option<ObjectId>,
    limits: &Limits,
) -> Result<Tree, ReadError> {
    let superblock = superblock::Superblock::read(image)?;
    walk::Walk::new(image, superblock, object, limits).run()
}

/// Returns `N` bytes at an offset.
fn array<const N: usize>(
    image: &[u8],
    at: usize,
    what: &'static str,
) -> Result<[u8; N], ReadError> {
    let rest = image.get(at..).and_then(|rest| rest.first_chunk());
    rest.copied().ok_or(ReadError::OutOfBounds(what))
}

/// Returns bytes at an offset.
fn slice<'a>(
    image: &'a [u8],
    at: usize,
    count: usize,
    what: &'static str,
) -> Result<&'a [u8], ReadError> {
    let end = at.checked_add(count).ok_or(ReadError::OutOfBounds(what))?;
    image.get(at..end).ok_or(ReadError::OutOfBounds(what))
}

fn u16_at(image: &[u8], at: usize, what: &'static str) -> Result<u16, ReadError> {
    array(image, at, what).map(u16::from_le_bytes)
}

fn u32_at(image: &[u8], at: usize, what: &'static str) -> Result<u32, ReadError> {
    array(image, at, what).map(u32::from_le_bytes)
}

fn u64_at(image: &[u8], at: usize, what: &'static str) -> Result<u64, ReadError> {
    array(image, at, what).map(u64::from_le_bytes)
}
