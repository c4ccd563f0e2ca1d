//! All images of a store.

use std::collections::BTreeMap;

use creel_base::digest::Digest;
use creel_base::reference::Reference;
use creel_image::document::{self, Document, Expected};
use creel_store::StoreError;

use super::{Image, ImageError};
use crate::Engine;

/// What a store has.
#[derive(Debug, Default)]
pub struct Images {
    /// The images that can be read.
    pub images: Vec<Image>,
    /// Names whose images cannot, and why.
    pub damaged: Vec<(Reference, ImageError)>,
}

/// The manifest that a name leads to, or why that cannot be read.
type Named = Result<Digest, StoreError>;

impl Engine {
    /// Lists the images that have names, each once, with all its names. Sorted by its first name.
    ///
    /// # Errors
    /// [`ImageError::Store`]. An image that cannot be read is listed as such.
    pub fn images(&self) -> Result<Images, ImageError> {
        let mut by_manifest: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        let mut found = Images::default();
        for (name, digest) in self.all_names()? {
            match digest {
                Ok(digest) => by_manifest.entry(digest).or_default().push(name),
                Err(error) => found.damaged.push((name, error.into())),
            }
        }
        for (digest, mut names) in by_manifest {
            names.sort();
            match (self.load(digest, names.clone()), names.first()) {
                (Ok(image), _) => found.images.push(image),
                (Err(error), Some(name)) => found.damaged.push((name.clone(), error)),
                (Err(error), None) => return Err(error),
            }
        }
        found.images.sort_by(|a, b| a.names.cmp(&b.names));
        Ok(found)
    }

    /// Lists also the images without names that no collection has removed yet, last.
    ///
    /// # Errors
    /// As [`Engine::images`].
    pub fn all_images(&self) -> Result<Images, ImageError> {
        let mut found = self.images()?;
        for digest in self.store.blobs()? {
            if found.images.iter().any(|image| image.digest == digest || image.id == digest) {
                continue;
            }
            let Ok(bytes) = self.store.blob(&digest) else { continue };
            if let Ok(Document::Manifest(_)) = document::read(bytes, &Expected::default())
                && let Ok(image) = self.load(digest, Vec::new())
            {
                found.images.push(image);
            }
        }
        Ok(found)
    }

    /// Completes an image with all its names.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn named(&self, mut image: Image) -> Result<Image, ImageError> {
        image.names = self.names_of(image.digest)?;
        Ok(image)
    }

    /// Returns the names of a manifest, sorted.
    pub(super) fn names_of(&self, manifest: Digest) -> Result<Vec<Reference>, ImageError> {
        let names = self.names()?.into_iter().filter(|(_, digest)| *digest == manifest);
        let mut names: Vec<_> = names.map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    /// Returns the store's references that are names of images, and the manifests they name. Those
    /// that cannot be read are left out.
    pub(super) fn names(&self) -> Result<Vec<(Reference, Digest)>, ImageError> {
        let all = self.all_names()?.into_iter();
        Ok(all.filter_map(|(name, digest)| Some((name, digest.ok()?))).collect())
    }

    /// Returns the names of images, and what reading each of them gave.
    fn all_names(&self) -> Result<Vec<(Reference, Named)>, ImageError> {
        let mut names = Vec::new();
        for bytes in self.store.references()? {
            let Some(name) = as_name(&bytes) else { continue };
            // One that has just gone is no name any more.
            let digest = self.store.reference(&bytes).transpose();
            names.extend(digest.map(|digest| (name, digest)));
        }
        Ok(names)
    }
}

/// Reads the name of a reference of the store; `None` for one that is no name of an image.
pub(crate) fn as_name(bytes: &[u8]) -> Option<Reference> {
    let text = core::str::from_utf8(bytes).ok()?;
    text.parse().ok().filter(|name: &Reference| name.to_string() == text)
}
