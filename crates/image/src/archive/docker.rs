//! What `docker save` writes: `manifest.json`, configurations and layers in a tar.
//!
//! Source: the Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
//! There is no manifest in it: one is made, the same for the same archive.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, copy};

use creel_base::digest::{Algorithm, Digest, Hasher};
use creel_base::media_type::{Compression, Family, Layer, MediaType};
use creel_base::reference::Reference;
use creel_base::transport::Select;
use creel_codec::compress::{self, sniff};
use serde::Deserialize;

use super::{Archive, ArchiveError};
use crate::document::{
    self, Descriptor, Document, DocumentError, Expected, MAX_CONFIG, MAX_MANIFEST, Manifest,
    Unknown,
};
use crate::source::{ImageSource, VerifyReader};

const MANIFEST: &str = "manifest.json";
/// Most names that an error lists.
const MAX_LISTED: usize = 16;
/// Most characters of a tag that are shown.
const MAX_SHOWN: usize = 256;

/// An archive by Docker.
#[derive(Debug)]
pub struct DockerArchive {
    archive: Archive,
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// An image in an archive by Docker.
#[derive(Debug)]
pub struct DockerImage<'a> {
    archive: &'a Archive,
    names: Vec<Reference>,
    no_names: Vec<String>,
    root: Document,
    config: (Descriptor, Vec<u8>),
    /// Names in the archive by digest.
    layers: BTreeMap<Digest, String>,
}

impl DockerArchive {
    /// Reads the list of images in an archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn new(archive: Archive) -> Result<Self, ArchiveError> {
        let list = archive.read(MANIFEST, MAX_MANIFEST)?;
        let entries =
            serde_json::from_slice(&list).map_err(|source| ArchiveError::Manifest { source })?;
        Ok(Self { archive, entries })
    }

    /// Returns how many images there are.
    #[expect(clippy::len_without_is_empty, reason = "an archive without images is of no use")]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Opens an image.
    ///
    /// # Errors
    /// [`ArchiveError`] where there is none, or it is refused.
    pub fn image(&self, select: &Select) -> Result<DockerImage<'_>, ArchiveError> {
        DockerImage::new(&self.archive, self.choose(select)?)
    }

    fn choose(&self, select: &Select) -> Result<&Entry, ArchiveError> {
        let found = match select {
            Select::Only if self.entries.len() > 1 => {
                let (count, names) = (self.entries.len(), self.names());
                return Err(ArchiveError::Several { count, names });
            }
            Select::Only => self.entries.first(),
            Select::Index(place) => {
                usize::try_from(*place).ok().and_then(|place| self.entries.get(place))
            }
            Select::Named(name) => {
                let wanted = name.parse::<Reference>().ok();
                let same = |tag: &Reference| Some(tag) == wanted.as_ref();
                self.entries.iter().find(|entry| entry.names().any(|tag| same(&tag)))
            }
        };
        found.ok_or_else(|| ArchiveError::NoImage { select: select.clone(), names: self.names() })
    }

    fn names(&self) -> Vec<String> {
        let tags = self.entries.iter().flat_map(|entry| entry.repo_tags.iter().flatten());
        tags.take(MAX_LISTED).cloned().collect()
    }
}

impl Entry {
    /// The tags that are references.
    fn names(&self) -> impl Iterator<Item = Reference> {
        self.repo_tags.iter().flatten().filter_map(|tag| tag.parse().ok())
    }

    /// The tags that are none, cut short.
    fn no_names(&self) -> Vec<String> {
        let tags = self.repo_tags.iter().flatten();
        let none = tags.filter(|tag| tag.parse::<Reference>().is_err()).take(MAX_LISTED);
        none.map(|tag| tag.chars().take(MAX_SHOWN).collect()).collect()
    }
}

impl<'a> DockerImage<'a> {
    fn new(archive: &'a Archive, entry: &Entry) -> Result<Self, ArchiveError> {
        let refused = |source| ArchiveError::Document { source };
        let raw = archive.read(&entry.config, MAX_CONFIG)?;
        let config = document::read_config(raw.clone(), &Expected::default()).map_err(refused)?;
        let diff_ids = &config.value().rootfs.diff_ids;
        let files = entry.layers.as_deref().unwrap_or_default();
        if files.len() != diff_ids.len() {
            let (layers, diff_ids) = (files.len(), diff_ids.len());
            return Err(refused(DocumentError::LayerCount { layers, diff_ids }));
        }
        let mut layers = BTreeMap::new();
        let mut descriptors = Vec::new();
        for (file, diff_id) in files.iter().zip(diff_ids) {
            let layer = describe(archive, file, diff_id)?;
            layers.insert(layer.digest, file.clone());
            descriptors.push(layer);
        }
        let kind = MediaType::Config(Family::Docker);
        let config = Descriptor::new(kind, config.digest(), raw.len() as u64);
        let root = manifest(config.clone(), descriptors)?;
        let (names, no_names) = (entry.names().collect(), entry.no_names());
        Ok(Self { archive, names, no_names, root, config: (config, raw), layers })
    }

    /// Returns the names the archive gives the image.
    pub fn names(&self) -> &[Reference] {
        &self.names
    }

    /// Returns what the archive calls the image that is no name, at most 16 of them.
    pub fn no_names(&self) -> &[String] {
        &self.no_names
    }
}

/// Describes a layer. A plain one is known by its diff id; one that is compressed has to be hashed.
fn describe(archive: &Archive, file: &str, diff_id: &Digest) -> Result<Descriptor, ArchiveError> {
    let failed = |source| ArchiveError::Open { path: archive.path().to_owned(), source };
    let mut content = archive.file(file)?;
    let size = content.left();
    let mut start = Vec::new();
    content.by_ref().take(4).read_to_end(&mut start).map_err(failed)?;
    let compression = match sniff(&start) {
        compress::Compression::Plain => {
            let kind = MediaType::Layer(Layer::docker(Compression::None));
            return Ok(Descriptor::new(kind, *diff_id, size));
        }
        compress::Compression::Gzip => Compression::Gzip,
        compress::Compression::Zstd => Compression::Zstd,
    };
    let mut hasher = HashWriter(Hasher::new(Algorithm::Sha256));
    copy(&mut Cursor::new(start).chain(content), &mut hasher).map_err(failed)?;
    let kind = MediaType::Layer(Layer::docker(compression));
    Ok(Descriptor::new(kind, hasher.0.finish(), size))
}

struct HashWriter(Hasher);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn manifest(config: Descriptor, layers: Vec<Descriptor>) -> Result<Document, ArchiveError> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::Manifest(Family::Docker)),
        artifact_type: None,
        config,
        layers,
        subject: None,
        annotations: BTreeMap::new(),
        unknown: Unknown::new(),
    };
    let raw = serde_json::to_vec(&manifest).map_err(|source| ArchiveError::Manifest { source })?;
    document::read(raw, &Expected::default()).map_err(|source| ArchiveError::Document { source })
}

impl ImageSource for DockerImage<'_> {
    type Error = ArchiveError;

    fn root(&self) -> Result<Document, ArchiveError> {
        Ok(self.root.clone())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, ArchiveError> {
        Err(ArchiveError::NoFile { name: descriptor.digest.to_string() })
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send + '_>, ArchiveError> {
        if descriptor.digest == self.config.0.digest {
            let content = Cursor::new(self.config.1.as_slice());
            return Ok(Box::new(VerifyReader::new(content, descriptor)));
        }
        let file = self.layers.get(&descriptor.digest);
        let file =
            file.ok_or_else(|| ArchiveError::NoFile { name: descriptor.digest.to_string() })?;
        Ok(Box::new(VerifyReader::new(self.archive.file(file)?, descriptor)))
    }
}
