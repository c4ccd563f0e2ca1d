//! Where the documents and blobs of a pull come from, whatever the transport.

use std::io::{Cursor, Read};

use creel_base::hint::Hint;
use creel_image::archive::ArchiveError;
use creel_image::dir::DirError;
use creel_image::document::{Descriptor, Document, DocumentError, Expected};
use creel_image::layout::LayoutError;
use creel_image::source::{ImageSource, VerifyReader};
use creel_registry::Repository;
use creel_registry::client::Manifest;

/// Why a source does not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// A layout.
    #[error(transparent)]
    Layout(#[from] Box<LayoutError>),
    /// An archive.
    #[error(transparent)]
    Archive(#[from] Box<ArchiveError>),
    /// A directory.
    #[error(transparent)]
    Dir(#[from] Box<DirError>),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] Box<creel_registry::Error>),
    /// A document from a registry is refused.
    #[error("cannot read the manifest from `{registry}`")]
    Document {
        /// The registry.
        registry: String,
        /// Why.
        source: Box<DocumentError>,
    },
}

impl From<LayoutError> for OriginError {
    fn from(error: LayoutError) -> Self {
        Self::Layout(Box::new(error))
    }
}

impl From<ArchiveError> for OriginError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(Box::new(error))
    }
}

impl From<DirError> for OriginError {
    fn from(error: DirError) -> Self {
        Self::Dir(Box::new(error))
    }
}

impl From<creel_registry::Error> for OriginError {
    fn from(error: creel_registry::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl Hint for OriginError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Layout(source) => source.hint(),
            Self::Archive(source) => source.hint(),
            Self::Dir(source) => source.hint(),
            Self::Registry(source) => source.hint(),
            Self::Document { source, .. } => source.hint(),
        }
    }
}

/// An [`ImageSource`] without its type, and a registry, alike.
pub(crate) trait Origin: Sync {
    /// The document that was asked for.
    fn root(&self) -> Result<Document, OriginError>;

    /// A document that another one describes.
    fn document(&self, descriptor: &Descriptor) -> Result<Document, OriginError>;

    /// A blob from an offset on: 0 unless [`Origin::resumes`]. What its descriptor brings along, or
    /// a source on this machine has, fails at its end where it is not what was described; what a
    /// registry sends is verified by whoever reads it.
    fn blob(
        &self,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, OriginError>;

    /// Whether bytes are so dear that a part of a blob is worth keeping.
    fn resumes(&self) -> bool;
}

/// A source on this machine.
pub(crate) struct Local<S>(pub(crate) S);

impl<S: ImageSource> Origin for Local<S>
where
    OriginError: From<S::Error>,
{
    fn root(&self) -> Result<Document, OriginError> {
        Ok(self.0.root()?)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, OriginError> {
        Ok(self.0.document(descriptor)?)
    }

    fn blob(
        &self,
        descriptor: &Descriptor,
        _: u64,
    ) -> Result<Box<dyn Read + Send + '_>, OriginError> {
        Ok(self.0.blob(descriptor)?)
    }

    fn resumes(&self) -> bool {
        false
    }
}

/// An image at a registry.
pub(crate) struct Remote {
    pub(crate) repository: Repository,
    pub(crate) root: Manifest,
}

impl Remote {
    fn read(&self, manifest: Manifest, expected: &Expected) -> Result<Document, OriginError> {
        creel_image::document::read(manifest.bytes, expected).map_err(|source| {
            let registry = self.repository.registry().to_owned();
            OriginError::Document { registry, source: Box::new(source) }
        })
    }
}

impl Origin for Remote {
    fn root(&self) -> Result<Document, OriginError> {
        let root = self.root.clone();
        let expected = Expected {
            media_type: Some(root.media_type.clone()),
            digest: Some(root.digest),
            size: None,
        };
        self.read(root, &expected)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, OriginError> {
        let manifest = self.repository.manifest(&descriptor.digest.to_string())?;
        self.read(manifest, &Expected::from(descriptor))
    }

    fn blob(
        &self,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, OriginError> {
        // It need not be asked for, and the registry's copy is not what was checked.
        if let (Some(data), 0) = (&descriptor.data, offset) {
            return Ok(Box::new(VerifyReader::new(Cursor::new(data.clone()), descriptor)));
        }
        Ok(Box::new(self.repository.blob(descriptor.digest, descriptor.size, offset)?))
    }

    fn resumes(&self) -> bool {
        true
    }
}
