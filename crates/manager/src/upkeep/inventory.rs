//! Which image needs what: the way back from a thing in the store to the images that it hits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use creel_base::digest::{Digest, ObjectId};
use creel_codec::tree::Kind;
use creel_image::document::{self, Document, Expected};
use creel_store::{Store, StoreError, chain_ids};

use super::UpkeepError;
use crate::Engine;

/// A named manifest and what it leads to, as far as that can be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// All its names.
    pub(super) names: Vec<String>,
    /// Its manifest, its configuration and what else it names.
    pub(super) blobs: BTreeSet<Digest>,
    /// Its layers.
    pub(super) diff_ids: Vec<Digest>,
    /// The trees of its layers, and those made to stack them.
    pub(super) trees: BTreeSet<ObjectId>,
    /// What it leads to that is not there, in words.
    pub(super) missing: Vec<Missing>,
}

/// Something that an image needs and the store lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// What it is: `blob`, `layer` or `tree`.
    pub(super) what: &'static str,
    /// Its digest.
    pub(super) name: String,
}

impl Engine {
    /// Follows every name, by what can be read and without failing on what cannot.
    pub(super) fn inventory(&self) -> Result<Vec<Needs>, UpkeepError> {
        let mut by_manifest: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for name in self.store.references()? {
            // A damaged reference is the store's own finding.
            if let Ok(Some(digest)) = self.store.reference(&name) {
                let text = String::from_utf8_lossy(&name).into_owned();
                by_manifest.entry(digest).or_default().push(text);
            }
        }
        let all = by_manifest.into_iter();
        let mut all: Vec<_> =
            all.map(|(digest, names)| needs(&self.store, digest, names)).collect();
        all.sort_by(|a, b| a.names.cmp(&b.names));
        Ok(all)
    }
}

fn needs(store: &Store, manifest: Digest, names: Vec<String>) -> Needs {
    let mut needs = Needs { names, blobs: [manifest].into(), ..Needs::default() };
    let Some(bytes) = needs.blob(store, &manifest) else { return needs };
    let Ok(Document::Manifest(read)) = document::read(bytes, &Expected::default()) else {
        return needs;
    };
    let config = read.into_value().config.digest;
    needs.blobs.insert(config);
    let Some(bytes) = needs.blob(store, &config) else { return needs };
    let Ok(read) = document::read_config(bytes, &Expected::default()) else { return needs };
    needs.diff_ids = read.into_value().rootfs.diff_ids;
    for diff_id in needs.diff_ids.clone() {
        needs.layer(store, &diff_id);
    }
    for chain_id in chain_ids(&needs.diff_ids) {
        // Derived: where one is missing it is made again.
        needs.trees.extend(store.recipe(&chain_id).ok().flatten().map(|recipe| recipe.tree));
    }
    needs
}

impl Needs {
    /// Reads a blob and notes one that is missing; a damaged one is the store's own finding.
    fn blob(&mut self, store: &Store, digest: &Digest) -> Option<Vec<u8>> {
        match store.blob(digest) {
            Ok(bytes) => Some(bytes),
            Err(StoreError::NoBlob { .. }) => {
                self.missing.push(Missing { what: "blob", name: digest.to_string() });
                None
            }
            Err(_) => None,
        }
    }

    fn layer(&mut self, store: &Store, diff_id: &Digest) {
        match store.recipe(diff_id) {
            Ok(Some(recipe)) => {
                self.trees.insert(recipe.tree);
                if matches!(store.listing(&recipe.tree), Err(StoreError::NoTree { .. })) {
                    let name = recipe.tree.hex();
                    self.missing.push(Missing { what: "tree", name });
                }
            }
            Ok(None) => {
                self.missing.push(Missing { what: "layer", name: diff_id.to_string() });
            }
            Err(_) => {}
        }
    }
}

/// The contents of trees and their sizes in bytes; a tree that cannot be read has none.
pub(super) fn contents(store: &Store, trees: &BTreeSet<ObjectId>) -> HashMap<ObjectId, u64> {
    let mut found = HashMap::new();
    for tree in trees.iter().filter_map(|tree| store.tree(tree).ok()) {
        for entry in &tree.entries {
            if let Kind::File { size, object } = entry.kind {
                found.insert(object, size);
            }
        }
    }
    found
}
