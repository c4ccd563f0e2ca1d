//! Bringing images into the store.
//!
//! Nothing is visible under a name before all of it is there and verified. A pull that is cut off
//! leaves garbage at most, and downloads that the next one goes on with.

mod download;
mod error;
mod layers;
mod name;
mod origin;
pub(crate) mod unpack;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use creel_base::digest::Digest;
use creel_base::media_type::MediaType;
use creel_base::path::{Dir, OFlags, PathError, Scope};
use creel_base::platform::Platform;
use creel_base::reference::Reference;
use creel_base::transport::Source;
use creel_image::archive::{Archive, ArchiveError, DockerArchive};
use creel_image::dir::DirImage;
use creel_image::document::{
    self, Descriptor, Document, Expected, ImageConfig, MAX_CONFIG, Manifest, Parsed,
};
use creel_image::layout::Layout;
use creel_image::select;
use creel_registry::credentials::Credential;

pub use error::PullError;
pub use origin::OriginError;
pub use unpack::UnpackError;

use crate::Engine;
use crate::images::{Image, references};
use crate::progress::{Event, Progress};
use layers::Layers;
use origin::{Local, Origin};

/// How deep indexes may be nested: one for the platforms, one for their variants, and one spare.
const MAX_DEPTH: usize = 3;

/// How an image is pulled.
#[derive(Clone, Debug, Default)]
pub struct Pull {
    /// The platform; `None` is that of the engine.
    pub platform: Option<Platform>,
    /// Whether TLS is insisted on; `None` leaves it to `registries.conf`.
    pub verify_tls: Option<bool>,
    /// Given to the image's own registry, in place of what is in files.
    pub credentials: Option<Credential>,
}

/// What a pull is of, once its source is open.
struct Wanted<'a> {
    /// For messages.
    label: String,
    names: Vec<Reference>,
    platform: &'a Platform,
}

/// A manifest, and the index that it was chosen from.
struct Chosen {
    manifest: Parsed<Manifest>,
    index: Option<Digest>,
}

impl Engine {
    /// Brings an image into the store, from a registry or from this machine, and gives it its name.
    ///
    /// # Errors
    /// [`PullError`]; what was there before is untouched.
    pub fn pull(
        &self,
        source: &Source,
        options: &Pull,
        progress: &dyn Progress,
    ) -> Result<Image, PullError> {
        let platform = options.platform.as_ref().unwrap_or_else(|| self.platform());
        let label = source.to_string();
        let failed = |source: OriginError| PullError::Origin { name: label.clone(), source };
        let into = |names| Wanted { label: label.clone(), names, platform };
        match source {
            Source::Name(name) => {
                let found = self.find_remote(name, options)?;
                let label = found.name.to_string();
                let wanted = Wanted { label, names: vec![found.name], platform };
                self.take_in(&found.origin, wanted, progress)
            }
            Source::Oci(path, which) => {
                let layout = Layout::open(path).map_err(|error| failed(error.into()))?;
                let image = layout.image(which).map_err(|error| failed(error.into()))?;
                let names = name::of_layout(path, &image.descriptor().annotations);
                self.take_in(&Local(image), into(names), progress)
            }
            Source::OciArchive(path, which) => {
                let archive = self.archive(path).map_err(|error| failed(error.into()))?;
                let layout = Layout::in_archive(archive).map_err(|error| failed(error.into()))?;
                let image = layout.image(which).map_err(|error| failed(error.into()))?;
                let names = name::of_layout(path, &image.descriptor().annotations);
                self.take_in(&Local(image), into(names), progress)
            }
            Source::DockerArchive(path, which) => {
                let archive = self.archive(path).and_then(DockerArchive::new);
                let archive = archive.map_err(|error| failed(error.into()))?;
                let image = archive.image(which).map_err(|error| failed(error.into()))?;
                let names = image.names().to_vec();
                for text in image.no_names() {
                    progress.event(&Event::NoName { text: text.clone(), only: names.is_empty() });
                }
                self.take_in(&Local(image), into(names), progress)
            }
            Source::Dir(path) => {
                let image = DirImage::open(path).map_err(|error| failed(error.into()))?;
                let names = name::of_path(path, None).into_iter().collect();
                self.take_in(&Local(image), into(names), progress)
            }
            Source::Host => Err(PullError::Host),
        }
    }

    /// Opens an archive, or reads it from standard input where it is called `-`.
    fn archive(&self, path: &Path) -> Result<Archive, ArchiveError> {
        let spool = || spool(self.store.path());
        match path.to_str() {
            Some("-") => Archive::from_stream(std::io::stdin(), path, spool),
            _ => Archive::open(path, spool),
        }
    }

    fn take_in(
        &self,
        origin: &dyn Origin,
        wanted: Wanted<'_>,
        progress: &dyn Progress,
    ) -> Result<Image, PullError> {
        let chosen = choose(origin, &wanted)?;
        let manifest = chosen.manifest.value();
        let config = read_config(origin, manifest, &wanted)?;
        let diff_ids = &config.value().rootfs.diff_ids;
        let transaction = self.store.begin()?;
        let (store, owners) = (&self.store, self.owners());
        Layers { store, transaction: &transaction, owners, origin, progress }
            .bring(&manifest.layers, diff_ids)?;
        transaction.stack(diff_ids)?;
        transaction.put_blob(&manifest.config.digest, config.raw())?;
        let digest = chosen.manifest.digest();
        transaction.put_blob(&digest, chosen.manifest.raw())?;
        let names = wanted.names.iter().flat_map(|name| references(name, digest, chosen.index));
        let names: Vec<_> = names.collect();
        let names: Vec<_> = names.iter().map(|(name, to)| (name.as_bytes(), *to)).collect();
        transaction.commit(&names)?;
        Ok(self.load(digest, wanted.names)?)
    }
}

/// A file without a name, for what has to be read more than once: on the store's file system, which
/// has room for an image, or, if that is not to be written, in the place for large temporary files.
pub(crate) fn spool(store: &Path) -> io::Result<File> {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let file = match nameless(store) {
        Err(error) if matches!(error.kind(), ReadOnlyFilesystem | PermissionDenied) => {
            nameless(Path::new("/var/tmp"))
        }
        made => made,
    };
    file.map_err(io::Error::other)
}

fn nameless(dir: &Path) -> Result<File, PathError> {
    Dir::open(dir)?.open_within(".", Scope::Beneath, OFlags::RDWR | OFlags::TMPFILE)
}

/// Follows indexes to the manifest for the platform.
fn choose(origin: &dyn Origin, wanted: &Wanted<'_>) -> Result<Chosen, PullError> {
    let name = || wanted.label.clone();
    let failed = |source| PullError::Origin { name: name(), source };
    let mut document = origin.root().map_err(failed)?;
    let mut index = None;
    for _ in 0..=MAX_DEPTH {
        match document {
            Document::Manifest(manifest) => return Ok(Chosen { manifest, index }),
            Document::Index(found) => {
                let entry = select::select(found.value(), wanted.platform).map_err(|source| {
                    PullError::Select { name: name(), source: Box::new(source) }
                })?;
                document = origin.document(entry).map_err(failed)?;
                // The outermost is what the name means.
                index = index.or_else(|| Some(found.digest()));
            }
        }
    }
    Err(PullError::Nested { name: name(), limit: MAX_DEPTH })
}

fn read_config(
    origin: &dyn Origin,
    manifest: &Manifest,
    wanted: &Wanted<'_>,
) -> Result<Parsed<ImageConfig>, PullError> {
    let descriptor = &manifest.config;
    if !is_image(descriptor) {
        let kind = manifest.artifact_type.as_deref().unwrap_or(descriptor.media_type.as_str());
        return Err(PullError::NoImage { name: wanted.label.clone(), kind: kind.to_owned() });
    }
    let refused =
        |source| PullError::Document { digest: descriptor.digest.into(), source: Box::new(source) };
    let raw = read_small(origin, descriptor, wanted)?;
    let config = document::read_config(raw, &Expected::from(descriptor)).map_err(refused)?;
    manifest.check_config(config.value()).map_err(refused)?;
    check_platform(config.value(), wanted)?;
    Ok(config)
}

/// Some tools leave a configuration's type out or write `application/json`: its content decides.
fn is_image(config: &Descriptor) -> bool {
    match &config.media_type {
        MediaType::Config(_) => true,
        MediaType::Other(kind) => {
            ["", "application/json", "application/octet-stream"].contains(&&**kind)
        }
        _ => false,
    }
}

fn read_small(
    origin: &dyn Origin,
    descriptor: &Descriptor,
    wanted: &Wanted<'_>,
) -> Result<Vec<u8>, PullError> {
    if let Some(data) = &descriptor.data {
        return Ok(data.clone());
    }
    let failed = |source| PullError::Origin { name: wanted.label.clone(), source };
    let blob = origin.blob(descriptor, 0).map_err(failed)?;
    let mut raw = Vec::new();
    // One byte more shows that it is too large.
    blob.take(MAX_CONFIG + 1)
        .read_to_end(&mut raw)
        .map_err(|source| PullError::Config { digest: descriptor.digest.into(), source })?;
    Ok(raw)
}

fn check_platform(config: &ImageConfig, wanted: &Wanted<'_>) -> Result<(), PullError> {
    let found = config.platform();
    let suits = found.as_ref().is_ok_and(|found| wanted.platform.rank(found).is_some());
    // An image that says nothing is taken for one that runs.
    if suits || (config.os.is_empty() && config.architecture.is_empty()) {
        return Ok(());
    }
    Err(PullError::Platform {
        name: wanted.label.clone(),
        wanted: wanted.platform.clone(),
        found: found.map_or_else(
            |_| format!("{}/{}", config.os, config.architecture),
            |found| found.to_string(),
        ),
    })
}
