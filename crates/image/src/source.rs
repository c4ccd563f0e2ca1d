//! Where images come from and go to, as far as those who copy them need to know.

use std::error::Error;
use std::io::Read;

use creel_base::hint::Hint;

use crate::document::{Descriptor, Document};

mod verify;

pub use verify::{VerifyError, VerifyReader};

/// Something an image can be read from. Several threads may read at once.
pub trait ImageSource: Sync {
    /// Why reading fails.
    type Error: Error + Hint + Send + Sync + 'static;

    /// Reads the document that was asked for when the source was opened.
    ///
    /// # Errors
    /// The source's own.
    fn root(&self) -> Result<Document, Self::Error>;

    /// Reads a manifest or index that another document describes, and checks it.
    ///
    /// # Errors
    /// The source's own.
    fn document(&self, descriptor: &Descriptor) -> Result<Document, Self::Error>;

    /// Opens a blob. Reading it fails where it does not have the size and digest of `descriptor`;
    /// it is verified only when its end (0 bytes) has been read.
    ///
    /// # Errors
    /// The source's own.
    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Self::Error>;
}

/// Something an image can be written to. Several threads may write blobs at once.
pub trait ImageSink: Sync {
    /// Why writing fails.
    type Error: Error + Hint + Send + Sync + 'static;

    /// Returns whether a blob is there already.
    ///
    /// # Errors
    /// The sink's own.
    fn has_blob(&self, descriptor: &Descriptor) -> Result<bool, Self::Error>;

    /// Writes a blob: a configuration, a layer, or a manifest that an index describes. What does
    /// not have the size and digest of `descriptor` is not kept.
    ///
    /// # Errors
    /// The sink's own.
    fn put_blob(&self, descriptor: &Descriptor, content: &mut dyn Read) -> Result<(), Self::Error>;

    /// Writes the document that was asked for, and makes the image visible. Everything it
    /// describes must be there.
    ///
    /// # Errors
    /// The sink's own.
    fn finish(&self, root: &Document) -> Result<(), Self::Error>;
}
