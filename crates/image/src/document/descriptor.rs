//! Descriptors: what points at a blob.

use std::collections::BTreeMap;

use creel_base::digest::{Digest, Hasher};
use creel_base::media_type::MediaType;
use creel_base::platform::{ParsePlatformError, Platform};
use serde::{Deserialize, Serialize};

use super::{DocumentError, Unknown, text};

/// A blob's type, digest and size (`descriptor.md`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(with = "text")]
    pub media_type: MediaType,
    /// The digest of its bytes.
    #[serde(with = "text")]
    pub digest: Digest,
    /// How many bytes it has; at most `i64::MAX`, which is what other implementations can hold.
    pub size: u64,
    /// Where else the blob can be had. Credentials of the registry must not be sent there.
    #[serde(default, deserialize_with = "text::or_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free text by whoever made the document.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The blob itself.
    #[serde(default, with = "text::bytes", skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<u8>>,
    /// What a manifest in an index runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescriptorPlatform>,
    /// The type of the artefact a manifest describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The platform of a manifest in an index, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorPlatform {
    /// GOARCH.
    #[serde(default)]
    pub architecture: String,
    /// GOOS.
    #[serde(default)]
    pub os: String,
    /// The version of Windows an image needs.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must have, such as `win32k`.
    #[serde(
        default,
        rename = "os.features",
        deserialize_with = "text::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl DescriptorPlatform {
    /// Returns the platform with its parts in their normal spelling.
    ///
    /// # Errors
    /// [`ParsePlatformError`] for an empty or odd part.
    pub fn platform(&self) -> Result<Platform, ParsePlatformError> {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

impl From<&Platform> for DescriptorPlatform {
    fn from(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture().to_owned(),
            os: platform.os().to_owned(),
            variant: platform.variant().map(str::to_owned),
            ..Self::default()
        }
    }
}

impl Descriptor {
    /// Returns a descriptor with nothing but what every one has.
    pub const fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
            unknown: Unknown::new(),
        }
    }

    /// Describes `bytes`, hashed with sha256.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// Returns whether `bytes` are the blob.
    pub fn describes(&self, bytes: &[u8]) -> bool {
        self.size == bytes.len() as u64 && digest_of(bytes, &self.digest) == self.digest
    }

    /// Checks the size, and the embedded data if there is any.
    pub(super) fn check(&self) -> Result<(), DocumentError> {
        if i64::try_from(self.size).is_err() {
            return Err(DocumentError::DescriptorSize { digest: self.digest, size: self.size });
        }
        match &self.data {
            Some(data) if !self.describes(data) => {
                Err(DocumentError::EmbeddedData { digest: self.digest })
            }
            _ => Ok(()),
        }
    }
}

/// Hashes `bytes` with the algorithm of another digest.
pub(super) fn digest_of(bytes: &[u8], like: &Digest) -> Digest {
    let mut hasher = Hasher::new(like.algorithm());
    hasher.update(bytes);
    hasher.finish()
}
