//! Why an image is not pulled.

use creel_base::digest::Digest;
use creel_base::hint::Hint;
use creel_base::platform::Platform;
use creel_codec::compress::DecodeError;
use creel_image::document::DocumentError;
use creel_image::select::SelectError;
use creel_image::source::VerifyError;
use creel_registry::registries::RegistriesError;
use creel_store::StoreError;

use super::origin::OriginError;
use super::unpack::UnpackError;
use crate::images::ImageError;

/// Why an image is not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// `registries.conf` cannot be followed, or forbids it.
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    /// Several registries may be meant, and `registries.conf` says not to try them.
    #[error("short name `{name}` may mean more than one image")]
    ShortName {
        /// The name.
        name: String,
        /// What it may mean.
        candidates: Vec<String>,
    },
    /// The running system's root is not pulled.
    #[error("`host:` is here already and cannot be pulled")]
    Host,
    /// The source does not give what was asked for.
    #[error("cannot pull `{name}`")]
    Origin {
        /// The image.
        name: String,
        /// Why.
        source: OriginError,
    },
    /// An index has nothing for the platform.
    #[error("cannot pull `{name}`")]
    Select {
        /// The image.
        name: String,
        /// Why.
        source: Box<SelectError>,
    },
    /// Indexes within indexes.
    #[error("cannot pull `{name}`: its indexes are nested more than {limit} deep")]
    Nested {
        /// The image.
        name: String,
        /// How deep they may be.
        limit: usize,
    },
    /// The image is for another platform.
    #[error("`{name}` is for `{found}` and not for `{wanted}`")]
    Platform {
        /// The image.
        name: String,
        /// The platform that was asked for, or this machine's.
        wanted: Platform,
        /// What the image says.
        found: String,
    },
    /// The manifest is not an image's.
    #[error("`{name}` is an artefact of the type `{kind}` and no image")]
    NoImage {
        /// The image.
        name: String,
        /// The type of its configuration.
        kind: String,
    },
    /// The configuration does not come.
    #[error("cannot read the configuration `{digest}`")]
    Config {
        /// Its digest.
        digest: Box<Digest>,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration is refused, or does not fit the manifest.
    #[error("cannot use the configuration `{digest}`")]
    Document {
        /// Its digest.
        digest: Box<Digest>,
        /// Why.
        source: Box<DocumentError>,
    },
    /// A layer does not come, or is refused.
    #[error("cannot pull the layer `{digest}`")]
    Layer {
        /// Its digest.
        digest: Box<Digest>,
        /// Why.
        source: UnpackError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image cannot be named, or not be read back.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Hint for PullError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::ShortName { candidates, .. } => {
                Some(format!("write one of {} in full", candidates.join(", ")))
            }
            Self::Origin { source, .. } => source.hint(),
            Self::Select { source, .. } => source.hint(),
            Self::Platform { found, .. } => {
                Some(format!("pass `--platform {found}` to have it all the same"))
            }
            Self::Config { source, .. } => of_io(source),
            Self::Document { source, .. } => source.hint(),
            Self::Layer { source, .. } => source.hint(),
            Self::Store(source) => source.hint(),
            Self::Image(source) => source.hint(),
            Self::Registries(_) | Self::Host | Self::Nested { .. } | Self::NoImage { .. } => None,
        }
    }
}

fn of_decoding(error: &DecodeError) -> String {
    match error {
        DecodeError::TooLarge { .. } | DecodeError::Ratio { .. } => {
            "have the layer split: no more is unpacked than that".into()
        }
        DecodeError::Format { format } => format!(
            "unpack an archive of files first: `{format} -dc FILE | creel import -`; have a layer \
             compressed by gzip or zstd"
        ),
    }
}

/// The hint of the error that a failed read carries: the registry's, or the store's where the
/// download is kept.
pub(super) fn of_io(error: &std::io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    if let Some(error) = inner.downcast_ref::<DecodeError>() {
        return Some(of_decoding(error));
    }
    if inner.is::<VerifyError>() {
        return Some(
            "get it again; if it stays, what it comes from is damaged or alters it".into(),
        );
    }
    if let Some(error) = inner.downcast_ref::<StoreError>() {
        return error.hint();
    }
    if let Some(error) = inner.downcast_ref::<OriginError>() {
        return error.hint();
    }
    inner.downcast_ref::<creel_registry::Error>()?.hint()
}
