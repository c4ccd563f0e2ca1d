//! Making images: from nothing, as an import does, or on top of another, as a commit does.

use std::collections::BTreeMap;

use creel_base::digest::Digest;
use creel_base::media_type::{Family, MediaType};
use creel_base::platform::Platform;

use crate::document::{
    self, Descriptor, Document, DocumentError, Expected, History, ImageConfig, Manifest, Parsed,
    Unknown,
};

/// An image being made: a configuration and the layers it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The configuration. Its diff ids grow by [`Draft::push`].
    pub config: ImageConfig,
    /// The annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    layers: Vec<Descriptor>,
}

impl Draft {
    /// Starts an image without layers.
    pub fn new(platform: &Platform) -> Self {
        let config = ImageConfig {
            os: platform.os().to_owned(),
            architecture: platform.architecture().to_owned(),
            variant: platform.variant().map(str::to_owned),
            ..ImageConfig::default()
        };
        Self { config, annotations: BTreeMap::new(), layers: Vec::new() }
    }

    /// Starts an image on top of another. Its annotations are not taken over.
    ///
    /// # Errors
    /// [`DocumentError::LayerCount`] where manifest and configuration do not belong together.
    pub fn on(manifest: &Manifest, config: ImageConfig) -> Result<Self, DocumentError> {
        manifest.check_config(&config)?;
        Ok(Self { config, annotations: BTreeMap::new(), layers: manifest.layers.clone() })
    }

    /// Adds a layer on top; `diff_id` is the digest of its uncompressed tar.
    pub fn push(&mut self, layer: Descriptor, diff_id: Digest, history: History) {
        self.layers.push(layer);
        self.config.rootfs.diff_ids.push(diff_id);
        self.config.history.push(history);
    }

    /// Writes configuration and manifest, as OCI has them.
    ///
    /// # Errors
    /// [`DocumentError`] where what comes out would be refused, such as a document too large.
    pub fn finish(self) -> Result<(Parsed<ImageConfig>, Document), DocumentError> {
        let write = |source| DocumentError::Parse { what: "image that was made", source };
        let raw = serde_json::to_vec(&self.config).map_err(write)?;
        let config = document::read_config(raw, &Expected::default())?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MediaType::Manifest(Family::Oci)),
            artifact_type: None,
            config: config.descriptor(),
            layers: self.layers,
            subject: None,
            annotations: self.annotations,
            unknown: Unknown::new(),
        };
        manifest.check_config(config.value())?;
        let raw = serde_json::to_vec(&manifest).map_err(write)?;
        Ok((config, document::read(raw, &Expected::default())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_on_what_it_built() {
        let layer = Descriptor::of(MediaType::Other("a/b".into()), b"abc");
        let mut draft = Draft::new(&"linux/arm64".parse().unwrap());
        draft.push(layer.clone(), layer.digest, History::default());
        let (config, Document::Manifest(manifest)) = draft.finish().unwrap() else { panic!() };
        assert_eq!(manifest.value().config, config.descriptor());
        let mut draft = Draft::on(manifest.value(), config.into_value()).unwrap();
        draft.push(layer.clone(), layer.digest, History::default());
        draft.config.rootfs.diff_ids.push(layer.digest);
        assert!(matches!(draft.clone().finish(), Err(DocumentError::LayerCount { .. })));
        draft.config.rootfs.diff_ids.pop();
        let (config, Document::Manifest(manifest)) = draft.finish().unwrap() else { panic!() };
        assert_eq!(manifest.value().layers, [layer.clone(), layer]);
        assert_eq!(config.value().platform().unwrap().to_string(), "linux/arm64");
    }
}
