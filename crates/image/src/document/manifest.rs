//! Manifests and indexes.

use std::collections::BTreeMap;

use creel_base::media_type::MediaType;
use serde::{Deserialize, Serialize};

use super::{Descriptor, DocumentError, ImageConfig, Unknown, text};

/// An image manifest, OCI's or Docker's schema 2 (`manifest.md`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type.
    #[serde(default, with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of an artefact that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "text::or_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text by whoever made the image.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// An OCI index or a Docker manifest list (`image-index.md`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type.
    #[serde(default, with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of an artefact that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    #[serde(default, deserialize_with = "text::or_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text by whoever made the index.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Manifest {
    /// Checks that the configuration has one diff id a layer.
    ///
    /// # Errors
    /// [`DocumentError::LayerCount`].
    pub const fn check_config(&self, config: &ImageConfig) -> Result<(), DocumentError> {
        let (layers, diff_ids) = (self.layers.len(), config.rootfs.diff_ids.len());
        if layers == diff_ids {
            Ok(())
        } else {
            Err(DocumentError::LayerCount { layers, diff_ids })
        }
    }

    pub(super) fn check(&self) -> Result<(), DocumentError> {
        check_top(self.schema_version, &self.unknown)?;
        let own = self.layers.iter().chain([&self.config]).chain(&self.subject);
        own.into_iter().try_for_each(Descriptor::check)
    }
}

impl Index {
    pub(super) fn check(&self) -> Result<(), DocumentError> {
        check_top(self.schema_version, &self.unknown)?;
        self.manifests.iter().chain(&self.subject).try_for_each(Descriptor::check)
    }
}

/// Fields that decide what a document is, in lower case.
const DECIDING: [&str; 6] =
    ["schemaversion", "mediatype", "config", "layers", "manifests", "fslayers"];

/// Refuses other versions, and fields by which another reader would see another document: Go's
/// reader takes `Layers`, and even `layerſ`, for `layers`.
fn check_top(version: u32, unknown: &Unknown) -> Result<(), DocumentError> {
    if version != 2 {
        return Err(DocumentError::SchemaVersion { version });
    }
    let folded = |key: &str| key.to_uppercase().to_lowercase();
    match unknown.keys().find(|key| DECIDING.contains(&folded(key).as_str())) {
        Some(key) => Err(DocumentError::Ambiguous { field: key.clone() }),
        None => Ok(()),
    }
}
