//! What OCI documents refer to, for garbage collection.

use std::error::Error;

use creel_base::digest::Digest;
use creel_image::document::{self, Document, Expected};
use creel_store::{References, chain_ids};

/// Tells the store what its blobs refer to.
///
/// A manifest keeps its configuration and its subject, an index the manifests that are there, and a
/// configuration its layers, each by diff id and by chain id. A blob that is none of these refers to
/// nothing.
pub struct Documents<'a> {
    pinned: &'a dyn Fn() -> Result<Vec<Digest>, Unknown>,
}

/// Why it cannot be told what is in use, or what a document refers to.
type Unknown = Box<dyn Error + Send + Sync>;

impl<'a> Documents<'a> {
    /// Makes the rules. `pinned` tells what is in use without a name: images and trees of
    /// containers.
    pub const fn new(pinned: &'a dyn Fn() -> Result<Vec<Digest>, Unknown>) -> Self {
        Self { pinned }
    }
}

impl References for Documents<'_> {
    fn of_blob(&self, _: &Digest, bytes: &[u8]) -> Result<Vec<Digest>, Unknown> {
        // A document may read as both. What either reading needs is kept.
        let mut found = as_config(bytes);
        found.extend(as_document(bytes));
        Ok(found)
    }

    fn pinned(&self) -> Result<Vec<Digest>, Unknown> {
        (self.pinned)()
    }
}

fn as_config(bytes: &[u8]) -> Vec<Digest> {
    let Ok(config) = document::read_config(bytes.to_vec(), &Expected::default()) else {
        return Vec::new();
    };
    let mut found = config.into_value().rootfs.diff_ids;
    found.extend(chain_ids(&found));
    found
}

fn as_document(bytes: &[u8]) -> Vec<Digest> {
    match document::read(bytes.to_vec(), &Expected::default()) {
        Ok(Document::Manifest(manifest)) => {
            let manifest = manifest.into_value();
            [Some(manifest.config), manifest.subject]
                .into_iter()
                .flatten()
                .map(|d| d.digest)
                .collect()
        }
        Ok(Document::Index(index)) => {
            index.into_value().manifests.into_iter().map(|manifest| manifest.digest).collect()
        }
        Err(_) => Vec::new(),
    }
}
