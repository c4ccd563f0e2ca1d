//! Why an archive is refused.

use creel_base::hint::Hint;

use crate::tree::TreeError;

/// What a [`LayerSink`](super::LayerSink) failed with.
pub type SinkError = Box<dyn core::error::Error + Send + Sync>;

/// Why bytes are not a layer that creel takes.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A block where a header belongs has the wrong checksum.
    #[error("tar header at byte {offset} has a wrong checksum")]
    Checksum {
        /// Where the block starts in the archive.
        offset: u64,
    },
    /// A numeric field of a header is no number, or is out of range.
    #[error("tar header of `{}` has a bad {field}", .path.escape_ascii())]
    Field {
        /// The name in the archive.
        path: Box<[u8]>,
        /// The field.
        field: &'static str,
    },
    /// A PAX, GNU or sparse extension is malformed or does not fit what it extends.
    #[error("tar extension before byte {offset} is not valid: {what}")]
    Extension {
        /// Where the archive had been read to.
        offset: u64,
        /// Which rule is broken.
        what: &'static str,
    },
    /// The entry is of a type, or uses a feature, that creel does not read.
    #[error("tar entry `{}` is not supported: {what}", .path.escape_ascii())]
    Unsupported {
        /// The name in the archive.
        path: Box<[u8]>,
        /// The feature.
        what: &'static str,
    },
    /// The name of an entry, or of a hard link's target, is not allowed.
    #[error("tar entry has the name `{}`: {what}", .path.escape_ascii())]
    Name {
        /// The name in the archive.
        path: Box<[u8]>,
        /// Which rule is broken.
        what: &'static str,
    },
    /// The entry contradicts itself or the entries before it.
    #[error("tar entry `{}` is refused: {what}", .path.escape_ascii())]
    Entry {
        /// Its path.
        path: Box<[u8]>,
        /// Which rule is broken.
        what: &'static str,
    },
    /// A hard link names nothing that can have several names.
    #[error("hard link `{}` cannot name `{}`: {what}", .path.escape_ascii(), .target.escape_ascii())]
    Link {
        /// Path of the link.
        path: Box<[u8]>,
        /// What it names.
        target: Box<[u8]>,
        /// Why not.
        what: &'static str,
    },
    /// The archive ends inside an entry or after an extension that extends nothing.
    #[error("archive ends at byte {offset}, inside {what}")]
    Truncated {
        /// How many bytes there were.
        offset: u64,
        /// Inside what.
        what: &'static str,
    },
    /// A limit is exceeded.
    #[error("archive has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A header follows a lone block of zeros.
    #[error("archive goes on at byte {offset} after half an end mark")]
    HalfEnd {
        /// Where the block after the zeros starts.
        offset: u64,
    },
    /// The reader had failed before.
    #[error("archive was refused before")]
    Failed,
    /// The entries do not make a tree.
    #[error("entries of the archive do not make a tree")]
    Tree(#[from] TreeError),
    /// Whoever receives the content failed.
    #[error("cannot keep what the archive holds")]
    Sink(#[source] SinkError),
}

impl Hint for LayerError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Sink(_) => return None,
            Self::Truncated { .. } => "fetch the archive again: it is incomplete".into(),
            Self::TooLarge { .. } => "have the archive split into several layers".into(),
            _ => "have the archive made anew: none is taken that is damaged, that two readers \
                  could unpack differently, or that reaches out of its directory"
                .into(),
        })
    }
}
