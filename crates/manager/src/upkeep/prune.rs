//! Removing what nothing needs.

use std::collections::HashSet;

use creel_base::digest::{Digest, ObjectId};
use creel_store::{Collected, Wait};
use serde::Serialize;

use super::{Pins, UpkeepError};
use crate::Engine;
use crate::containers::{ContainerError, Trees};
use crate::images::Documents;

/// How much a prune may remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What has no name and is not in use.
    Garbage,
    /// Also the images that no container uses.
    UnusedImages,
}

/// What a prune has removed, or would.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pruned {
    /// The names of images.
    pub images: Vec<String>,
    /// Documents.
    pub documents: u64,
    /// Trees.
    pub trees: u64,
    /// Contents.
    pub objects: u64,
    /// Bytes of those contents.
    pub bytes: u64,
    /// Bytes given back to the file system; `None` for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freed_bytes: Option<u64>,
    /// Packs removed as a whole.
    pub packs: u64,
    /// Directories of a loose store.
    pub checkouts: u64,
    /// Downloads that were stopped; for a dry run those under way count too.
    pub downloads: u64,
}

impl Engine {
    /// Says what [`Engine::prune`] would remove now.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn prunable(&self, scope: Scope) -> Result<Pruned, UpkeepError> {
        let pins = self.pins()?;
        let images = self.unneeded(scope)?;
        let names: Vec<Vec<u8>> = images.iter().map(|name| name.clone().into_bytes()).collect();
        let keep = || Ok(pins.digests());
        let documents = Documents::new(&keep);
        let found = self.store.collectable(&documents, &names)?;
        let downloads = self.store.usage()?.partial.count;
        Ok(Pruned { downloads, ..Pruned::new(images, found) })
    }

    /// Removes what nothing needs. Pulls and commits under way are waited for.
    ///
    /// # Errors
    ///
    /// [`UpkeepError`]. What was removed before stays so.
    pub fn prune(&self, scope: Scope) -> Result<Pruned, UpkeepError> {
        self.read_references()?;
        let images = self.unneeded(scope)?;
        for name in &images {
            self.store.remove_reference(name.as_bytes())?;
        }
        self.release_trees()?;
        let before = self.store.usage()?.disk_bytes();
        let downloads = self.store.remove_partials()?;
        // Asked when nothing can begin any more: a container may have been made since.
        let keep = || Ok(self.pins()?.digests());
        let done = self.store.collect(&Documents::new(&keep), Wait::Forever)?;
        let freed = before.saturating_sub(self.store.usage()?.disk_bytes());
        Ok(Pruned { downloads, freed_bytes: Some(freed), ..Pruned::new(images, done) })
    }

    /// Refuses where a reference cannot be read, before anything goes: nobody knows what it keeps.
    fn read_references(&self) -> Result<(), UpkeepError> {
        for name in self.store.references()? {
            self.store.reference(&name)?;
        }
        Ok(())
    }

    /// Unmounts the trees of an image that has lost its last name, but for those that containers
    /// use. What cannot be unmounted is left to the next prune.
    pub fn let_go(&self, manifest: &Digest, pins: &Pins) {
        let Ok(image) = self.load(*manifest, Vec::new()) else { return };
        let Ok(trees) = self.layers(&image) else { return };
        let used = |tree: &ObjectId| pins.holders.iter().any(|holder| holder.trees.contains(tree));
        if let Ok(run) = self.run_dir() {
            let _ = Trees::below(run).unmount(|tree| used(tree) || !trees.contains(tree));
        }
    }

    /// Unmounts the trees that no image with a name and no container needs: what is collected must
    /// not be mounted, as a hole under a mount reads as zeros.
    fn release_trees(&self) -> Result<(), UpkeepError> {
        let mut needed: HashSet<ObjectId> = HashSet::new();
        for holder in self.pins()?.holders {
            needed.extend(holder.trees);
        }
        for image in self.images()?.images {
            // What cannot be stacked is not mounted either.
            needed.extend(self.layers(&image).unwrap_or_default());
        }
        let run = self.run_dir().map_err(ContainerError::from)?;
        Trees::below(run).unmount(|tree| needed.contains(tree))?;
        Ok(())
    }

    /// The names of the images to remove.
    fn unneeded(&self, scope: Scope) -> Result<Vec<String>, UpkeepError> {
        if scope == Scope::Garbage {
            return Ok(Vec::new());
        }
        let pins = self.pins()?;
        let images = self.images()?.images.into_iter();
        let unused = images.filter(|image| pins.users(&image.digest).is_empty());
        Ok(unused.flat_map(|image| image.names).map(|name| name.to_string()).collect())
    }
}

impl Pruned {
    fn new(images: Vec<String>, found: Collected) -> Self {
        let Collected { blobs: documents, trees, objects, bytes, packs, checkouts } = found;
        Self {
            images,
            documents,
            trees,
            objects,
            bytes,
            packs,
            checkouts,
            downloads: 0,
            freed_bytes: None,
        }
    }
}
