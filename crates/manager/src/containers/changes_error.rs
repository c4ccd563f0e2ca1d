//! Why a container's changes cannot be shown or kept.

use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_codec::tree::TreeError;
use creel_image::change::ChangeError;
use creel_image::document::DocumentError;
use creel_store::StoreError;

use super::error::ContainerError;
use crate::images::ImageError;
use crate::import::ImportError;

/// Why a container's changes cannot be shown or kept.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// A file operation failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The layers below do not fit together.
    #[error("cannot stack the layers below the container")]
    Stack(#[from] TreeError),
    /// The image below cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image below does not fit its configuration.
    #[error("cannot put a layer on the image")]
    Document(#[from] DocumentError),
    /// An instruction is refused.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The image cannot be stored.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The container is in use, or its files are damaged.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The container has the running system below, not an image.
    #[error("container `{name}` has the running system as its root, which is no image")]
    NoImage {
        /// The container.
        name: String,
    },
}

impl Hint for ChangesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Path(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Change(error) => error.hint(),
            Self::Import(error) => error.hint(),
            Self::Container(error) => error.hint(),
            Self::NoImage { .. } => Some("`creel diff` shows what it changed".into()),
            Self::Stack(_) | Self::Document(_) => None,
        }
    }
}
