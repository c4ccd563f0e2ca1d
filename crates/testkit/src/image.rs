//! Images as OCI layouts, from archives in memory or in files. The same input gives the same bytes.
//!
//! The documents are written by hand and not by `creel-image`, so that the two can disagree.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use creel_base::digest::{Algorithm, Digest, Hasher};
use creel_codec::compress::{Compression, Encoder};
use serde_json::{Value, json};

/// Environment variable with the directory of the real images that `./x image` has made.
pub const REAL: &str = "CREEL_IMAGES";

/// Returns the layout of a real image, which has one image of the same name.
///
/// # Errors
///
/// When it is not said where they are: a test that needs one cannot be passed without.
pub fn real(name: &str) -> io::Result<PathBuf> {
    let directory = std::env::var_os(REAL).ok_or_else(|| {
        let words = "run it by `./x test --tier peers`, or make the image by `./x image` and set";
        io::Error::other(format!("this test needs a real image: {words} {REAL}"))
    })?;
    Ok(PathBuf::from(directory).join(name))
}

/// An archive of a layer.
#[derive(Clone, Debug)]
enum Archive {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// An image to be written.
#[derive(Clone, Debug)]
pub struct Image {
    base: Option<Base>,
    layers: Vec<(Archive, Compression)>,
    process: Value,
    architecture: String,
}

/// The layers of an image that is there.
#[derive(Clone, Debug)]
struct Base {
    directory: PathBuf,
    descriptors: Vec<Value>,
    diff_ids: Vec<Value>,
}

/// A blob that was written: what a descriptor says.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    /// Starts an image without layers, for amd64.
    pub fn new() -> Self {
        let (layers, process) = (Vec::new(), json!({}));
        Self { base: None, layers, process, architecture: "amd64".into() }
    }

    /// Starts an image on top of the first one in the layout at `directory`.
    ///
    /// # Errors
    ///
    /// When the layout cannot be read.
    pub fn based_on(directory: &Path) -> io::Result<Self> {
        let read =
            |path: PathBuf| -> io::Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap_or_default();
            read(directory.join("blobs").join(digest.replace(':', "/")))
        };
        let manifest = blob(&read(directory.join("index.json"))?["manifests"][0])?;
        let config = blob(&manifest["config"])?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let base = Base {
            directory: directory.to_owned(),
            descriptors: list(&manifest["layers"]),
            diff_ids: list(&config["rootfs"]["diff_ids"]),
        };
        Ok(Self { base: Some(base), process: config["config"].clone(), ..Self::new() })
    }

    /// Adds a layer, compressed by gzip.
    #[must_use]
    pub fn layer(self, tar: Vec<u8>) -> Self {
        self.layer_as(tar, Compression::Gzip)
    }

    /// Adds a layer.
    #[must_use]
    pub fn layer_as(mut self, tar: Vec<u8>, compression: Compression) -> Self {
        self.layers.push((Archive::Bytes(tar), compression));
        self
    }

    /// Adds a layer from an archive in a file, compressed by gzip.
    #[must_use]
    pub fn layer_file(mut self, tar: impl Into<PathBuf>) -> Self {
        self.layers.push((Archive::File(tar.into()), Compression::Gzip));
        self
    }

    /// Sets a key of the configuration's `config`, such as `Env` or `Cmd`.
    #[must_use]
    pub fn process(mut self, key: &str, value: Value) -> Self {
        if let Some(process) = self.process.as_object_mut() {
            process.insert(key.into(), value);
        }
        self
    }

    /// Sets the architecture, in the words of Go.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// Adds the image to the layout at `directory`, made if need be, under `name`; returns its
    /// manifest.
    ///
    /// # Errors
    ///
    /// What reading the archives or writing the layout fails with.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<Blob> {
        let layout = Layout::open(directory)?;
        let manifest = self.write_blobs(&layout)?;
        layout.name(&manifest, name)?;
        Ok(manifest)
    }

    fn write_blobs(&self, layout: &Layout) -> io::Result<Blob> {
        let (mut layers, mut diff_ids) = match &self.base {
            Some(base) => layout.take(base)?,
            None => (Vec::new(), Vec::new()),
        };
        for (archive, compression) in &self.layers {
            let (blob, diff_id) = match archive {
                Archive::Bytes(bytes) => layout.layer(bytes.as_slice(), *compression)?,
                Archive::File(path) => layout.layer(File::open(path)?, *compression)?,
            };
            layers.push(descriptor(layer_type(*compression), &blob));
            diff_ids.push(diff_id.to_string().into());
        }
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": "2020-01-01T00:00:00Z",
            "config": self.process,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = layout.document(&config)?;
        layout.document(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers,
        }))
    }
}

const fn layer_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Plain => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest.to_string(), "size": blob.size })
}

struct Layout {
    directory: PathBuf,
}

impl Layout {
    fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory.join("blobs/sha256"))?;
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Brings in the layers of another layout; returns their descriptors and diff ids.
    fn take(&self, base: &Base) -> io::Result<(Vec<Value>, Vec<Value>)> {
        for descriptor in &base.descriptors {
            let digest = descriptor["digest"].as_str().unwrap_or_default().replace(':', "/");
            let (from, to) = (base.directory.join("blobs"), self.directory.join("blobs"));
            fs::copy(from.join(&digest), to.join(&digest))?;
        }
        Ok((base.descriptors.clone(), base.diff_ids.clone()))
    }

    fn layer(&self, tar: impl Read, compression: Compression) -> io::Result<(Blob, Digest)> {
        let mut tar = Hashed::new(tar);
        let temporary = self.directory.join("blobs/new");
        let mut encoder = Encoder::new(Hashed::new(File::create(&temporary)?), compression)?;
        io::copy(&mut tar, &mut encoder)?;
        let blob = encoder.finish()?.blob();
        fs::rename(temporary, self.path(&blob.digest))?;
        Ok((blob, tar.blob().digest))
    }

    fn document(&self, document: &Value) -> io::Result<Blob> {
        let bytes = serde_json::to_vec(document)?;
        let blob = Blob { digest: Digest::sha256(&bytes), size: bytes.len() as u64 };
        fs::write(self.path(&blob.digest), bytes)?;
        Ok(blob)
    }

    fn name(&self, manifest: &Blob, name: &str) -> io::Result<()> {
        let path = self.directory.join("index.json");
        let mut manifests = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Value>(&bytes)?["manifests"].take(),
            Err(_) => json!([]),
        };
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        if let Some(manifests) = manifests.as_array_mut() {
            manifests.retain(|old| old["annotations"] != entry["annotations"]);
            manifests.push(entry);
        }
        fs::write(path, serde_json::to_vec(&json!({ "schemaVersion": 2, "manifests": manifests }))?)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }
}

/// Passes bytes on, hashed and counted.
struct Hashed<T> {
    inner: T,
    hasher: Hasher,
    size: u64,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, hasher: Hasher::new(Algorithm::Sha256), size: 0 }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn blob(self) -> Blob {
        Blob { digest: self.hasher.finish(), size: self.size }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.count(buffer.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::{Entry, Tar};

    #[test]
    fn the_same_image_is_the_same_bytes_and_two_names_share_a_layout() {
        let image = Image::new().layer(Tar::new().with(Entry::file("a", "x")).finish());
        let directory = tempfile::tempdir().unwrap();
        let first = image.write(directory.path(), "one").unwrap();
        let second = image.write(directory.path(), "two").unwrap();
        assert_eq!(first.digest, second.digest);
        let index = fs::read(directory.path().join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
        assert_eq!(fs::read_dir(directory.path().join("blobs/sha256")).unwrap().count(), 3);
    }

    #[test]
    fn an_image_on_a_base_has_its_layers_first() {
        let (base, derived) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layer = |name: &str| Tar::new().with(Entry::file(name, "x")).finish();
        let image = Image::new().layer(layer("a")).process("User", json!("7"));
        image.write(base.path(), "base").unwrap();
        let image = Image::based_on(base.path()).unwrap().layer(layer("b"));
        let manifest = image.write(derived.path(), "derived").unwrap();
        let whole = Image::new().layer(layer("a")).layer(layer("b")).process("User", json!("7"));
        assert_eq!(manifest.digest, whole.write(base.path(), "whole").unwrap().digest);
    }
}
