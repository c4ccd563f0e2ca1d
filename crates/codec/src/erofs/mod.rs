//! EROFS: the file system image by which the kernel mounts a tree.
//!
//! An image holds metadata and small files; the content of other files lies in packs, which are
//! extra devices of the image. [`write`] makes one from a tree, [`read`] turns one back.
//! Source: `fs/erofs/erofs_fs.h` and `Documentation/filesystems/erofs.rst` of Linux 6.18.

mod checksum;
mod format;
mod layout;
mod plan;
mod read;
mod write;
mod xattr;

use creel_base::digest::ObjectId;
use creel_base::hint::Hint;

pub use format::BLOCK_BYTES;
pub use read::{Content, Limits, ReadError, read};
pub use write::write;

/// Where the content of a file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In the image itself: the content, exactly as long as the file.
    Inline(Vec<u8>),
    /// Contiguous in a pack.
    Chunk {
        /// Index into [`Options::devices`].
        device: u16,
        /// First block (of 4096 bytes) in that device.
        block: u32,
    },
}

/// An extra device of an image: a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What names the pack: at most 64 bytes, no trailing NUL.
    pub tag: Vec<u8>,
    /// Length in blocks of 4096 bytes.
    pub blocks: u32,
}

/// In which namespace overlayfs keeps its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OverlayMarks {
    /// `trusted.overlay.`, for mounts made with all privileges.
    #[default]
    Trusted,
    /// `user.overlay.`, for mounts with the option `userxattr`.
    User,
}

/// How an image is written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// The tree's name, of which the volume's UUID is made.
    pub tree: ObjectId,
    /// The packs, in the order of the device table.
    pub devices: Vec<Device>,
    /// Where an opaque directory is marked.
    pub overlay: OverlayMarks,
}

/// Extended attribute that holds the sha256 (32 bytes) of a file's content, by which kernels that
/// share page cache between images recognise equal files (`ishare` of Linux 7.0).
pub const FINGERPRINT: &[u8] = b"trusted.erofs.fingerprint";

/// Why a tree cannot be written as an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The tree breaks its own rules.
    #[error("cannot make an image of a tree that is not valid")]
    BadTree(#[from] crate::tree::TreeError),
    /// The content of a file has no place.
    #[error("object `{object}` of `{}` is not in the store", .path.escape_ascii())]
    NoObject {
        /// The path of the file.
        path: Box<[u8]>,
        /// Its content.
        object: ObjectId,
    },
    /// A placement does not fit the file or the devices.
    #[error("place of `{}` is not valid: {what}", .path.escape_ascii())]
    BadPlacement {
        /// The path of the file.
        path: Box<[u8]>,
        /// Which rule is broken.
        what: &'static str,
    },
    /// A link into lower layers was not resolved before.
    #[error("hard link `{}` into a lower layer is not resolved", .path.escape_ascii())]
    Unresolved {
        /// The path of the link.
        path: Box<[u8]>,
    },
    /// EROFS or overlayfs cannot represent the entry.
    #[error("an EROFS image cannot hold `{}`: {what}", .path.escape_ascii())]
    Unsupported {
        /// The path of the entry.
        path: Box<[u8]>,
        /// What it cannot hold.
        what: &'static str,
    },
    /// The image or its devices are beyond what 32-bit block addresses reach.
    #[error("image is too large")]
    TooLarge,
}

impl Hint for WriteError {}
