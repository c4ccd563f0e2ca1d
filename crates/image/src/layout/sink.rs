//! Writing a layout.

use std::io::Read;
use std::path::Path;

use creel_base::atomic::{self, Durability, NewFile};
use creel_base::path::{Dir, FileType, IfExists};
use serde::Serialize;

use super::{
    DIRECTORY, FILE, INDEX, Layout, LayoutError, MARKER, Marker, REF_NAME, VERSION, blob_path,
    empty_index, missing,
};
use crate::document::{Descriptor, Document};
use crate::source::{ImageSink, VerifyReader};

/// A layout to which one image is written.
#[derive(Debug)]
pub struct LayoutSink {
    dir: Dir,
    name: Option<String>,
}

impl LayoutSink {
    /// Opens a layout by a trusted path, and makes it where there is none, to write an image to it
    /// under a name or none.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn open_or_create(
        path: impl AsRef<Path>,
        name: Option<String>,
    ) -> Result<Self, LayoutError> {
        let dir = Dir::open_or_create(path, DIRECTORY)?;
        if !dir.exists(MARKER)? {
            let marker = Marker { image_layout_version: VERSION.into() };
            dir.mkdir_open("blobs", DIRECTORY)?;
            if !dir.exists(INDEX)? {
                replace(&dir, INDEX, &empty_index())?;
            }
            replace(&dir, MARKER, &marker)?;
        }
        // Checks what is there.
        Layout::new(dir.try_clone()?)?;
        Ok(Self { dir, name })
    }
}

impl ImageSink for LayoutSink {
    type Error = LayoutError;

    fn has_blob(&self, descriptor: &Descriptor) -> Result<bool, LayoutError> {
        let stat = missing(self.dir.stat(blob_path(&descriptor.digest)))?;
        Ok(stat.is_some_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && u64::try_from(stat.st_size) == Ok(descriptor.size)
        }))
    }

    fn put_blob(&self, descriptor: &Descriptor, content: &mut dyn Read) -> Result<(), LayoutError> {
        let digest = descriptor.digest;
        let blobs = self.dir.mkdir_open("blobs", DIRECTORY)?;
        let dir = blobs.mkdir_open(digest.algorithm().name(), DIRECTORY)?;
        let mut file = NewFile::begin(&dir, FILE)?;
        std::io::copy(&mut VerifyReader::new(content, descriptor), file.file())
            .map_err(|source| LayoutError::Copy { digest, source })?;
        Ok(file.publish(digest.hex(), IfExists::Replace, Durability::Power)?)
    }

    fn finish(&self, root: &Document) -> Result<(), LayoutError> {
        let mut entry = root.descriptor();
        self.put_blob(&entry, &mut root.raw())?;
        let mut index = Layout::new(self.dir.try_clone()?)?.index()?;
        match &self.name {
            Some(name) => {
                index.manifests.retain(|old| old.annotations.get(REF_NAME) != Some(name));
                entry.annotations.insert(REF_NAME.into(), name.clone());
            }
            None => index
                .manifests
                .retain(|old| old.digest != entry.digest || old.annotations.contains_key(REF_NAME)),
        }
        index.manifests.push(entry);
        replace(&self.dir, INDEX, &index)
    }
}

fn replace(dir: &Dir, file: &'static str, value: &impl Serialize) -> Result<(), LayoutError> {
    let json = serde_json::to_vec(value).map_err(|source| LayoutError::Write { file, source })?;
    Ok(atomic::replace(dir, file, &json, FILE, Durability::Power)?)
}
