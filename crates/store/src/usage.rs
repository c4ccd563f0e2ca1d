//! What a store takes on disk.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::image::SUFFIX;
use crate::store::Store;
use crate::tape;

/// A number of things and the bytes they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Bytes: of files, those allotted on disk, which for files with holes are fewer than their length.
    pub bytes: u64,
}

/// What a store takes, without its alternates. Half-written files are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Objects in the packs; their bytes are logical sizes, and copies count again.
    pub objects: Amount,
    /// Packs.
    pub packs: Amount,
    /// Indexes of packs, merged ones too.
    pub indexes: Amount,
    /// Listings of trees.
    pub trees: Amount,
    /// EROFS images of trees, which can be removed and made again.
    pub images: Amount,
    /// Trees as directories; what they share is counted once, but for reflinks.
    pub checkouts: Amount,
    /// Blobs.
    pub blobs: Amount,
    /// Recipes.
    pub recipes: Amount,
    /// Tapes, by which the archives of layers are made again bit for bit.
    pub tapes: Amount,
    /// Unfinished downloads.
    pub partial: Amount,
}

impl Usage {
    /// All bytes on disk.
    pub fn disk_bytes(&self) -> u64 {
        let files = [self.packs, self.indexes, self.trees, self.images, self.checkouts];
        let documents = [self.blobs, self.recipes, self.tapes, self.partial];
        let all = files.iter().chain(&documents);
        all.fold(0, |sum, amount| sum.saturating_add(amount.bytes))
    }
}

impl Amount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Store {
    /// Measures the store. Files that come or go meanwhile may be counted or not.
    pub fn usage(&self) -> Result<Usage> {
        self.objects.refresh()?;
        let mut usage = Usage::default();
        for pack in self.objects.packs() {
            self.objects.read_only_index(pack)?.for_each(|entry| {
                if !entry.dropped {
                    usage.objects.add(entry.record.at.logical);
                }
                Ok(())
            })?;
        }
        measure(self.objects.dir(), |name, bytes| match name {
            name if name.ends_with(b".pack") => usage.packs.add(bytes),
            _ => usage.indexes.add(bytes),
        })?;
        measure(&self.trees, |name, bytes| match name {
            name if name.ends_with(SUFFIX.as_bytes()) => usage.images.add(bytes),
            _ => usage.trees.add(bytes),
        })?;
        usage.checkouts = self.measure_checkouts()?;
        for blobs in &self.blobs {
            measure(blobs, |_, bytes| usage.blobs.add(bytes))?;
        }
        measure(&self.recipes, |name, bytes| match name {
            name if name.ends_with(tape::SUFFIX.as_bytes()) => usage.tapes.add(bytes),
            _ => usage.recipes.add(bytes),
        })?;
        measure(&self.partial, |_, bytes| usage.partial.add(bytes))?;
        Ok(usage)
    }
}

/// Passes the name of each file of a directory and the bytes it takes on disk to `each`.
fn measure(dir: &Dir, mut each: impl FnMut(&[u8], u64)) -> Result<()> {
    for name in dir.names()? {
        let Some(file) = dir.open_file(OsStr::from_bytes(&name))? else { continue };
        let path = dir.path_of(OsStr::from_bytes(&name));
        let blocks = file.metadata().map_err(StoreError::io("measure", &path))?.blocks();
        each(&name, blocks.saturating_mul(512));
    }
    Ok(())
}
