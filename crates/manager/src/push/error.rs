//! Why an image is not pushed.

use creel_base::digest::Digest;
use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_base::reference::ParseReferenceError;
use creel_image::archive::ArchiveError;
use creel_image::document::DocumentError;
use creel_image::layout::LayoutError;
use creel_registry::registries::RegistriesError;
use creel_store::StoreError;

use crate::images::ImageError;

/// Why an image is not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The image is not in the store, or cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image has no name to push it by.
    #[error("image `{id}` has no name to push it by")]
    NoName {
        /// Its id.
        id: Box<Digest>,
    },
    /// The name of the destination is wrong.
    #[error("cannot push to `{text}`")]
    Name {
        /// The destination.
        text: String,
        /// What is wrong.
        source: ParseReferenceError,
    },
    /// Images can be read from there and not be written.
    #[error("cannot push to `{text}`: nothing is written there")]
    Unsupported {
        /// The destination.
        text: String,
    },
    /// `registries.conf` cannot be followed, or forbids it.
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    /// The registry does not take it.
    #[error("cannot push to `{name}`")]
    Registry {
        /// The destination.
        name: String,
        /// Why.
        source: Box<creel_registry::Error>,
    },
    /// The layout does not take it.
    #[error(transparent)]
    Layout(#[from] Box<LayoutError>),
    /// The archive cannot be written.
    #[error(transparent)]
    Archive(#[from] Box<ArchiveError>),
    /// The destination's directory cannot be opened.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A layer cannot be made anew.
    #[error("cannot write the layer `{diff_id}`")]
    Layer {
        /// Its diff id.
        diff_id: Box<Digest>,
        /// Why.
        source: StoreError,
    },
    /// A layer cannot be compressed into a file beside the store.
    #[error("cannot compress the layer `{diff_id}`")]
    Compress {
        /// Its diff id.
        diff_id: Box<Digest>,
        /// Why.
        source: std::io::Error,
    },
    /// The manifest of the layers as they are now is refused.
    #[error("cannot write the manifest")]
    Document(#[source] Box<DocumentError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for PushError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(source) => source.hint(),
            Self::NoName { .. } => {
                Some("name the destination: `creel push IMAGE REGISTRY/NAME:TAG`".into())
            }
            Self::Name { source, .. } => source.hint(),
            Self::Unsupported { .. } => {
                Some("push to a registry, to `oci:PATH` or to `oci-archive:FILE`".into())
            }
            Self::Registry { source, .. } => source.hint(),
            Self::Layout(source) => source.hint(),
            Self::Archive(source) => source.hint(),
            Self::Path(source) => source.hint(),
            Self::Layer { source, .. } | Self::Store(source) => source.hint(),
            Self::Document(source) => source.hint(),
            Self::Registries(_) | Self::Compress { .. } => None,
        }
    }
}
