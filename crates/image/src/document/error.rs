//! Why a document is refused.

use creel_base::digest::Digest;
use creel_base::hint::Hint;
use creel_base::media_type::MediaType;

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The document has more bytes than any may.
    #[error("document has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Bytes found.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The document has another size than its descriptor says.
    #[error("document has {found} bytes where its descriptor says {expected}")]
    Size {
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The document is not the one asked for.
    #[error("document has the digest `{found}` instead of `{expected}`")]
    Digest {
        /// The digest asked for.
        expected: Digest,
        /// The digest of the bytes.
        found: Box<Digest>,
    },
    /// The document is no JSON, or a field is missing or wrong.
    #[error("cannot read the {what}")]
    Parse {
        /// What was being read.
        what: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The document says that it is something else.
    #[error("document calls itself `{embedded}` but was announced as `{declared}`")]
    MediaType {
        /// The type within the document.
        embedded: MediaType,
        /// The type from outside.
        declared: MediaType,
    },
    /// The document is neither a manifest nor an index.
    #[error("document is neither an image manifest nor an index")]
    UnknownKind,
    /// The document could be read in two ways.
    #[error("document has the field `{field}`, by which it could be read as something else")]
    Ambiguous {
        /// The field that does not belong there.
        field: String,
    },
    /// The document is a Docker schema 1 manifest.
    #[error("image has a Docker schema 1 manifest, which is not supported")]
    Schema1,
    /// The document has a version that does not exist yet.
    #[error("document has schema version {version}: only 2 is known")]
    SchemaVersion {
        /// The version found.
        version: u32,
    },
    /// A descriptor's size cannot be true.
    #[error("descriptor of `{digest}` has the impossible size {size}")]
    DescriptorSize {
        /// The blob.
        digest: Digest,
        /// The size.
        size: u64,
    },
    /// A descriptor brings data that is not the blob.
    #[error("descriptor of `{digest}` has embedded data of another digest or size")]
    EmbeddedData {
        /// The blob.
        digest: Digest,
    },
    /// The configuration does not fit the manifest.
    #[error("manifest has {layers} layers where the configuration has {diff_ids} diff ids")]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// Diff ids of the configuration.
        diff_ids: usize,
    },
    /// The configuration's root file system is not made of layers.
    #[error("configuration has a root file system of the type `{kind}` instead of `layers`")]
    RootFsType {
        /// The type found.
        kind: String,
    },
}

impl Hint for DocumentError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Schema1 => Some("push the image again with a current tool".into()),
            _ => None,
        }
    }
}
