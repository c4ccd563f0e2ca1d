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
#[derive(Clone, Debug, Default)]
pub struct Documents {
    pinned: Vec<Digest>,
}

impl Documents {
    /// Makes the rules, with what is in use without a name: trees that are mounted, images and
    /// trees of containers.
    pub const fn new(pinned: Vec<Digest>) -> Self {
        Self { pinned }
    }
}

impl References for Documents {
    fn of_blob(
        &self,
        _: &Digest,
        bytes: &[u8],
    ) -> Result<Vec<Digest>, Box<dyn Error + Send + Sync>> {
        // A document may read as both. What either reading needs is kept.
        let mut found = as_config(bytes);
        found.extend(as_document(bytes));
        Ok(found)
    }

    fn pinned(&self) -> Vec<Digest> {
        self.pinned.clone()
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
