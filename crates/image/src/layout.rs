//! The OCI image layout in a directory or an archive: `oci-layout`, `index.json`, and `blobs/`.
//!
//! Source: OCI image specification 1.1, `image-layout.md`. No link in a layout is followed out of it.
//! Blobs and `index.json` are replaced whole, but two writers that end at the same time can lose one
//! another's entry in `index.json`.

mod error;
mod sink;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use creel_base::digest::Digest;
use creel_base::media_type::{Family, MediaType};
use creel_base::path::{Dir, Mode, PathError};
use creel_base::transport::Select;

use crate::archive::{Archive, ArchiveError};
use crate::document::{self, Descriptor, Document, Expected, Index, MAX_MANIFEST, Unknown};
use crate::source::{ImageSource, VerifyReader};

pub use error::LayoutError;
pub use sink::LayoutSink;

/// The annotation in `index.json` that gives an image its name.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
const VERSION: &str = "1.0.0";
/// Most bytes of `oci-layout`.
const MAX_MARKER: u64 = 64 << 10;
const DIRECTORY: Mode = Mode::from_raw_mode(0o755);
const FILE: Mode = Mode::from_raw_mode(0o644);

/// A layout, in a directory or in an archive.
#[derive(Debug)]
pub struct Layout {
    files: Files,
}

#[derive(Debug)]
enum Files {
    Dir(Dir),
    Archive(Box<Archive>),
}

impl Files {
    /// Reads a file; `None` where there is none.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, LayoutError> {
        match self {
            Self::Dir(dir) => Ok(missing(dir.read(path, limit))?),
            Self::Archive(archive) => absent(archive.read(&path.to_string_lossy(), limit)),
        }
    }

    /// Opens a file; `None` where there is none.
    fn open(&self, path: &Path) -> Result<Option<Box<dyn Read + Send>>, LayoutError> {
        match self {
            Self::Dir(dir) => {
                let file = missing(dir.open_file(path))?;
                Ok(file.map(|file| Box::new(file) as Box<dyn Read + Send>))
            }
            Self::Archive(archive) => {
                let file = absent(archive.file(&path.to_string_lossy()))?;
                Ok(file.map(|file| Box::new(file) as Box<dyn Read + Send>))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Dir(dir) => dir.path(),
            Self::Archive(archive) => archive.path(),
        }
    }
}

fn absent<T>(result: Result<T, ArchiveError>) -> Result<Option<T>, LayoutError> {
    match result {
        Err(ArchiveError::NoFile { .. }) => Ok(None),
        result => Ok(Some(result.map_err(Box::new)?)),
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens a layout by a trusted path.
    ///
    /// # Errors
    /// [`LayoutError`] where it is none, or one of another version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LayoutError> {
        Self::new(Dir::open(path)?)
    }

    /// Takes a directory that is a layout.
    ///
    /// # Errors
    /// As [`Layout::open`].
    pub fn new(dir: Dir) -> Result<Self, LayoutError> {
        Self::of(Files::Dir(dir))
    }

    /// Takes an archive that holds a layout.
    ///
    /// # Errors
    /// As [`Layout::open`].
    pub fn in_archive(archive: Archive) -> Result<Self, LayoutError> {
        Self::of(Files::Archive(Box::new(archive)))
    }

    fn of(files: Files) -> Result<Self, LayoutError> {
        let raw = files.read(Path::new(MARKER), MAX_MARKER)?;
        let raw = raw.ok_or_else(|| LayoutError::NoLayout { path: files.path().to_owned() })?;
        let marker: Marker =
            serde_json::from_slice(&raw).map_err(|source| LayoutError::Marker { source })?;
        if marker.image_layout_version != VERSION {
            return Err(LayoutError::Version { version: marker.image_layout_version });
        }
        Ok(Self { files })
    }

    /// Reads `index.json`.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn index(&self) -> Result<Index, LayoutError> {
        let raw = self.files.read(Path::new(INDEX), MAX_MANIFEST)?;
        let raw =
            raw.ok_or_else(|| LayoutError::NoLayout { path: self.files.path().to_owned() })?;
        let kind =
            Expected { media_type: Some(MediaType::Index(Family::Oci)), ..Expected::default() };
        match document::read(raw, &kind) {
            Ok(Document::Index(index)) => Ok(index.into_value()),
            Ok(Document::Manifest(_)) => Err(LayoutError::IndexKind),
            Err(source) => Err(LayoutError::Document { file: INDEX.into(), source }),
        }
    }

    /// Finds an image.
    ///
    /// # Errors
    /// [`LayoutError`] where there is none, or more than one.
    pub fn image(&self, select: &Select) -> Result<LayoutImage<'_>, LayoutError> {
        let index = self.index()?;
        let root = choose(&index, select)?.clone();
        Ok(LayoutImage { layout: self, root })
    }

    fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        if let Some(data) = &descriptor.data {
            return Ok(Box::new(VerifyReader::new(Cursor::new(data.clone()), descriptor)));
        }
        let file = self.files.open(&blob_path(&descriptor.digest))?;
        let file = file.ok_or(LayoutError::NoBlob { digest: descriptor.digest })?;
        Ok(Box::new(VerifyReader::new(file, descriptor)))
    }

    fn read_document(&self, descriptor: &Descriptor) -> Result<Document, LayoutError> {
        let path = blob_path(&descriptor.digest);
        let raw = self.files.read(&path, MAX_MANIFEST)?;
        let raw = raw.ok_or(LayoutError::NoBlob { digest: descriptor.digest })?;
        document::read(raw, &Expected::from(descriptor))
            .map_err(|source| LayoutError::Document { file: path, source })
    }
}

/// An image in a layout.
#[derive(Debug)]
pub struct LayoutImage<'a> {
    layout: &'a Layout,
    root: Descriptor,
}

impl LayoutImage<'_> {
    /// Returns the image's entry in `index.json`.
    pub const fn descriptor(&self) -> &Descriptor {
        &self.root
    }
}

impl ImageSource for LayoutImage<'_> {
    type Error = LayoutError;

    fn root(&self) -> Result<Document, LayoutError> {
        self.layout.read_document(&self.root)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, LayoutError> {
        self.layout.read_document(descriptor)
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send + '_>, LayoutError> {
        self.layout.open_blob(descriptor).map(|blob| blob as Box<dyn Read + Send>)
    }
}

fn choose<'a>(index: &'a Index, select: &Select) -> Result<&'a Descriptor, LayoutError> {
    let none = || LayoutError::NoImage { select: select.clone(), names: names(index) };
    let mut matching = index.manifests.iter().enumerate().filter(|(place, entry)| match select {
        Select::Only => true,
        Select::Named(name) => entry.annotations.get(REF_NAME) == Some(name),
        Select::Index(wanted) => u32::try_from(*place) == Ok(*wanted),
    });
    let (_, found) = matching.next().ok_or_else(none)?;
    match matching.next() {
        None => Ok(found),
        Some(_) => Err(LayoutError::Several { select: select.clone(), names: names(index) }),
    }
}

/// The names of the images, at most 16.
fn names(index: &Index) -> Vec<String> {
    let name = |entry: &Descriptor| entry.annotations.get(REF_NAME).cloned();
    index.manifests.iter().filter_map(name).take(16).collect()
}

pub(crate) fn blob_path(digest: &Digest) -> PathBuf {
    ["blobs", digest.algorithm().name(), &digest.hex()].iter().collect()
}

/// `index.json` of a layout with one image.
pub(crate) fn index_of(
    mut entry: Descriptor,
    name: Option<&str>,
) -> Result<Vec<u8>, serde_json::Error> {
    if let Some(name) = name {
        entry.annotations.insert(REF_NAME.into(), name.to_owned());
    }
    serde_json::to_vec(&Index { manifests: vec![entry], ..empty_index() })
}

/// `oci-layout`.
pub(crate) fn marker() -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Marker { image_layout_version: VERSION.into() })
}

fn empty_index() -> Index {
    Index {
        schema_version: 2,
        media_type: Some(MediaType::Index(Family::Oci)),
        artifact_type: None,
        manifests: Vec::new(),
        subject: None,
        annotations: std::collections::BTreeMap::new(),
        unknown: Unknown::new(),
    }
}

fn missing<T>(result: Result<T, PathError>) -> Result<Option<T>, PathError> {
    match result {
        Err(error) if error.is_not_found() => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests;
