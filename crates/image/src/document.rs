//! Manifests, indexes and configurations: what they hold, and how they are read.
//!
//! Source: OCI image specification 1.1 (`manifest.md`, `image-index.md`, `config.md`,
//! `descriptor.md`) and Docker's image manifest version 2 schema 2.

mod config;
mod descriptor;
mod error;
mod manifest;
mod read;
mod text;

pub use config::{Execution, HealthCheck, History, ImageConfig, RootFs};
pub use descriptor::{Descriptor, DescriptorPlatform};
pub use error::DocumentError;
pub use manifest::{Index, Manifest};
pub use read::{Document, Expected, Parsed, fuzz, read, read_config};

/// Most bytes of a manifest or index, as registries have it.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Most bytes of a configuration.
pub const MAX_CONFIG: u64 = 8 << 20;

/// Fields that are not in this version of the specification, kept as they were.
pub type Unknown = std::collections::BTreeMap<String, serde_json::Value>;

#[cfg(test)]
mod tests;
