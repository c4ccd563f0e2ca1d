//! What a store takes on disk, and for whom.

use std::collections::HashMap;
use std::path::PathBuf;

use creel_base::digest::ObjectId;
use creel_store::{Amount, Backend, Collected};
use serde::Serialize;

use super::inventory::{Needs, contents};
use super::{Holder, UpkeepError};
use crate::Engine;
use crate::images::Documents;

/// What a store takes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the store is.
    pub store: PathBuf,
    /// How it keeps contents.
    pub backend: Backend,
    /// Its parts.
    pub parts: Vec<Part>,
    /// Bytes on disk of all parts.
    pub disk_bytes: u64,
    /// Different contents that images need.
    pub contents: u64,
    /// The sum of the sizes of those contents in bytes.
    pub content_bytes: u64,
    /// Bytes that the images would take if each were stored by itself, file by file.
    pub logical_bytes: u64,
    /// Objects that a prune would remove; `None` where it would refuse, as nobody knows what is in use.
    pub prunable_objects: Option<u64>,
    /// Bytes of those objects.
    pub prunable_bytes: Option<u64>,
    /// The images, in the order of their names.
    pub images: Vec<ImageUse>,
    /// What mounts and containers keep from being removed.
    pub pinned: Vec<Holder>,
}

/// One kind of file in a store.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// How many.
    pub count: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What one image takes.
#[derive(Clone, Debug, Serialize)]
pub struct ImageUse {
    /// Its names.
    pub names: Vec<String>,
    /// Different contents of files.
    pub contents: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// Bytes of contents that no other image has: what removing it and a prune would free.
    pub unique_bytes: u64,
}

impl Engine {
    /// Measures the store.
    ///
    /// # Errors
    ///
    /// [`UpkeepError`].
    pub fn disk_usage(&self) -> Result<Report, UpkeepError> {
        let usage = self.store.usage()?;
        let pins = self.pins()?;
        let keep = || Ok(pins.digests());
        let documents = Documents::new(&keep);
        // What keeps a collection from beginning is no reason not to measure.
        let collectable: Option<Collected> = self.store.collectable(&documents, &[]).ok();
        let (images, contents) = self.image_uses()?;
        let part = |name, Amount { count, bytes }| Part { name, count, bytes };
        Ok(Report {
            store: self.store.path().to_owned(),
            backend: self.store.description().backend,
            parts: vec![
                part("packs", usage.packs),
                part("indexes", usage.indexes),
                part("trees", usage.trees),
                part("mountable forms", usage.images),
                part("checkouts", usage.checkouts),
                part("documents", usage.blobs),
                part("recipes", usage.recipes),
                part("unfinished downloads", usage.partial),
            ],
            disk_bytes: usage.disk_bytes(),
            contents: contents.len() as u64,
            content_bytes: total(contents.values().map(|(size, _)| size)),
            logical_bytes: images.iter().fold(0, |sum, image| sum.saturating_add(image.bytes)),
            prunable_objects: collectable.map(|found| found.objects),
            prunable_bytes: collectable.map(|found| found.bytes),
            images,
            pinned: pins.holders,
        })
    }

    /// What each image takes, and all their contents, each with its size and the number of images
    /// that have it.
    fn image_uses(&self) -> Result<(Vec<ImageUse>, Shared), UpkeepError> {
        let inventory = self.inventory()?;
        let own = |needs: Needs| (contents(&self.store, &needs.trees), needs.names);
        let images: Vec<_> = inventory.into_iter().map(own).collect();
        let mut shared = Shared::new();
        for (object, size) in images.iter().flat_map(|(contents, _)| contents) {
            shared.entry(*object).or_insert((*size, 0)).1 += 1;
        }
        let uses = images.into_iter().map(|(contents, names)| {
            let alone =
                |object: &ObjectId| shared.get(object).is_some_and(|(_, users)| *users == 1);
            let unique = contents.iter().filter(|(object, _)| alone(object));
            ImageUse {
                names,
                contents: contents.len() as u64,
                bytes: total(contents.values()),
                unique_bytes: total(unique.map(|(_, size)| size)),
            }
        });
        let uses = uses.collect();
        Ok((uses, shared))
    }
}

/// Contents with their sizes in bytes and the number of images that have them.
type Shared = HashMap<ObjectId, (u64, u32)>;

fn total<'a>(sizes: impl Iterator<Item = &'a u64>) -> u64 {
    sizes.fold(0, |sum, size| sum.saturating_add(*size))
}
