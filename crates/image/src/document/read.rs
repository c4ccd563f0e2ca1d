//! Reading documents whose bytes nobody vouches for.

use creel_base::digest::Digest;
use creel_base::media_type::MediaType;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::descriptor::digest_of;
use super::{Descriptor, DocumentError, ImageConfig, Index, MAX_CONFIG, MAX_MANIFEST, Manifest};

/// A document, and the very bytes it was read from, by which its digest is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<T> {
    raw: Vec<u8>,
    digest: Digest,
    media_type: MediaType,
    /// In a box, because descriptors make documents large to move.
    value: Box<T>,
}

impl<T> Parsed<T> {
    /// Returns the bytes as received.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the digest of the bytes: by the algorithm that was asked for, else sha256.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns what the document is.
    pub const fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Returns what was read.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns what was read, without the bytes.
    pub fn into_value(self) -> T {
        *self.value
    }

    /// Returns a descriptor of the document.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest, self.raw.len() as u64)
    }
}

/// What a reference to an image leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// One image.
    Manifest(Parsed<Manifest>),
    /// One image a platform.
    Index(Parsed<Index>),
}

impl Document {
    /// Returns the bytes as received.
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Manifest(manifest) => manifest.raw(),
            Self::Index(index) => index.raw(),
        }
    }

    /// Returns a descriptor of the document.
    pub fn descriptor(&self) -> Descriptor {
        match self {
            Self::Manifest(manifest) => manifest.descriptor(),
            Self::Index(index) => index.descriptor(),
        }
    }
}

/// What is known of a document before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Its type, by a descriptor or a `Content-Type` header. A type that is neither a manifest's
    /// nor an index's counts as none: registries send `application/json`.
    pub media_type: Option<MediaType>,
    /// Its digest.
    pub digest: Option<Digest>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

impl From<&Descriptor> for Expected {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            media_type: Some(descriptor.media_type.clone()),
            digest: Some(descriptor.digest),
            size: Some(descriptor.size),
        }
    }
}

/// The fields that decide what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    #[serde(default)]
    schema_version: Option<u32>,
    #[serde(default, with = "super::text::optional")]
    media_type: Option<MediaType>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    layers: Option<IgnoredAny>,
    #[serde(default)]
    config: Option<IgnoredAny>,
}

/// Reads a manifest or an index.
///
/// # Errors
/// [`DocumentError`]: too large, not what was expected, malformed, or ambiguous (a document with
/// the fields of both kinds is CVE-2021-41190).
pub fn read(raw: Vec<u8>, expected: &Expected) -> Result<Document, DocumentError> {
    let digest = check_bytes(&raw, expected, MAX_MANIFEST)?;
    let probe: Probe = parse(&raw, "manifest")?;
    let media_type = kind(&probe, expected.media_type.as_ref())?;
    match media_type {
        MediaType::Manifest(_) => {
            let value: Box<Manifest> = parse(&raw, "image manifest")?;
            value.check()?;
            Ok(Document::Manifest(Parsed { raw, digest, media_type, value }))
        }
        MediaType::Index(_) => {
            let value: Box<Index> = parse(&raw, "image index")?;
            value.check()?;
            Ok(Document::Index(Parsed { raw, digest, media_type, value }))
        }
        _ => Err(DocumentError::UnknownKind),
    }
}

/// Reads an image configuration.
///
/// # Errors
/// [`DocumentError`].
pub fn read_config(
    raw: Vec<u8>,
    expected: &Expected,
) -> Result<Parsed<ImageConfig>, DocumentError> {
    let digest = check_bytes(&raw, expected, MAX_CONFIG)?;
    let value: Box<ImageConfig> = parse(&raw, "image configuration")?;
    if value.rootfs.kind != "layers" {
        return Err(DocumentError::RootFsType { kind: value.rootfs.kind });
    }
    let oci = MediaType::Config(creel_base::media_type::Family::Oci);
    let media_type = expected.media_type.clone().unwrap_or(oci);
    Ok(Parsed { raw, digest, media_type, value })
}

fn check_bytes(raw: &[u8], expected: &Expected, limit: u64) -> Result<Digest, DocumentError> {
    let found = raw.len() as u64;
    if found > limit {
        return Err(DocumentError::TooLarge { size: found, limit });
    }
    if let Some(expected) = expected.size.filter(|size| *size != found) {
        return Err(DocumentError::Size { expected, found });
    }
    let Some(expected) = expected.digest else { return Ok(Digest::sha256(raw)) };
    let found = digest_of(raw, &expected);
    if found == expected {
        Ok(found)
    } else {
        Err(DocumentError::Digest { expected, found: Box::new(found) })
    }
}

fn parse<T: DeserializeOwned>(raw: &[u8], what: &'static str) -> Result<T, DocumentError> {
    serde_json::from_slice(raw).map_err(|source| DocumentError::Parse { what, source })
}

/// Decides what a document is: by what it calls itself, what it was announced as, and its fields.
fn kind(probe: &Probe, declared: Option<&MediaType>) -> Result<MediaType, DocumentError> {
    let embedded = probe.media_type.as_ref();
    let schema1 = [embedded, declared].contains(&Some(&MediaType::Schema1));
    if schema1 || probe.schema_version == Some(1) {
        return Err(DocumentError::Schema1);
    }
    let image = probe.layers.is_some() || probe.config.is_some();
    if image && probe.manifests.is_some() {
        return Err(DocumentError::Ambiguous { field: "manifests".into() });
    }
    let known = |kind: &&MediaType| matches!(kind, MediaType::Manifest(_) | MediaType::Index(_));
    let declared = declared.filter(known);
    if let (Some(embedded), Some(declared)) = (embedded, declared)
        && embedded != declared
    {
        let (embedded, declared) = (embedded.clone(), declared.clone());
        return Err(DocumentError::MediaType { embedded, declared });
    }
    match embedded.or(declared) {
        Some(kind) => Ok(kind.clone()),
        None if image => Ok(MediaType::Manifest(creel_base::media_type::Family::Oci)),
        None if probe.manifests.is_some() => {
            Ok(MediaType::Index(creel_base::media_type::Family::Oci))
        }
        None => Err(DocumentError::UnknownKind),
    }
}

/// Reads `data` as every kind of document, and checks that what was accepted is accepted again
/// after it was written: the entry for fuzzing.
pub fn fuzz(data: &[u8]) {
    if let Ok(config) = read_config(data.to_vec(), &Expected::default()) {
        let again = serde_json::to_vec(config.value()).unwrap_or_default();
        assert!(read_config(again, &Expected::default()).is_ok());
    }
    let again = match read(data.to_vec(), &Expected::default()) {
        Ok(Document::Manifest(manifest)) => serde_json::to_vec(manifest.value()),
        Ok(Document::Index(index)) => serde_json::to_vec(index.value()),
        Err(_) => return,
    };
    assert!(read(again.unwrap_or_default(), &Expected::default()).is_ok());
}
