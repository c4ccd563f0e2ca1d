//! Images: what the store's blobs, recipes and references mean in terms of OCI.
//!
//! A reference of the store is called `registry/repository:tag` or `registry/repository@digest` and
//! names a manifest. The digest in a name is the manifest's own, or that of the index it was chosen
//! from; one with a tag too came along with that tag and goes with it. An image without a name is kept by nothing and goes with the next collection.

mod documents;
mod error;
mod filter;
mod find;
mod list;
mod names;
mod remove;
#[cfg(test)]
mod tests;

use creel_base::digest::{Digest, ObjectId};
use creel_base::reference::Reference;
use creel_image::document::{self, Document, Expected, History, ImageConfig, Manifest};

pub use documents::Documents;
pub use error::ImageError;
pub use filter::{Filter, ParseFilterError};
pub(crate) use find::LOCALHOST;
pub use list::Images;
pub(crate) use list::as_name;
pub use names::new_name;
pub(crate) use names::references;
pub use remove::{Removal, Removed};

use crate::Engine;

/// An image in the store.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of the configuration, which is the image's id.
    pub id: Digest,
    /// The digest of the manifest.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
    /// Names of the image: the one it was found by from [`Engine::image`], all of them from
    /// [`Engine::images`] and [`Engine::named`].
    pub names: Vec<Reference>,
}

/// One step of an image's history.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// What the configuration says of it.
    pub history: &'a History,
    /// The size of the layer it made as the manifest has it, in bytes; `None` where it made none.
    pub size: Option<u64>,
}

impl Image {
    /// Returns the bytes of all layers as the manifest has them: what a pull transfers.
    pub fn download_size(&self) -> u64 {
        self.manifest.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// Returns the steps that made the image, the first one first.
    ///
    /// An image whose history does not fit its layers has no sizes in it.
    pub fn history(&self) -> Vec<Step<'_>> {
        let history = &self.config.history;
        let made = history.iter().filter(|step| !step.empty_layer).count();
        let fits = made == self.manifest.layers.len();
        let mut layers = self.manifest.layers.iter();
        history
            .iter()
            .map(|history| {
                let layer = if history.empty_layer { None } else { layers.next() };
                Step { history, size: layer.filter(|_| fits).map(|layer| layer.size) }
            })
            .collect()
    }
}

impl Engine {
    /// Returns the trees to mount for an image, the lowest first; makes what was not made yet.
    ///
    /// # Errors
    /// [`ImageError::Store`], as for an image of which a layer is missing.
    pub fn layers(&self, image: &Image) -> Result<Vec<ObjectId>, ImageError> {
        let diff_ids = &image.config.rootfs.diff_ids;
        if let Some(trees) = self.store.stack(diff_ids)? {
            return Ok(trees);
        }
        let transaction = self.store.begin()?;
        let trees = transaction.stack(diff_ids)?;
        transaction.commit(&[])?;
        Ok(trees)
    }

    /// Reads the image that a manifest describes.
    pub(crate) fn load(&self, digest: Digest, names: Vec<Reference>) -> Result<Image, ImageError> {
        let refused = |digest: Digest| {
            move |source| ImageError::Document { digest: digest.into(), source: Box::new(source) }
        };
        let manifest = self.store.blob(&digest)?;
        let manifest = document::read(manifest, &known(digest)).map_err(refused(digest))?;
        let Document::Manifest(manifest) = manifest else {
            return Err(ImageError::Index { digest: digest.into() });
        };
        let manifest = manifest.into_value();
        let id = manifest.config.digest;
        let config = document::read_config(self.store.blob(&id)?, &known(id));
        let config = config.map_err(refused(id))?.into_value();
        manifest.check_config(&config).map_err(refused(digest))?;
        Ok(Image { id, digest, manifest, config, names })
    }
}

/// A document whose bytes the store has checked: the digest decides only how it is named.
const fn known(digest: Digest) -> Expected {
    Expected { media_type: None, digest: Some(digest), size: None }
}
