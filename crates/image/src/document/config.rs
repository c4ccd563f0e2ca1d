//! The image configuration (`config.md`).

use std::collections::BTreeMap;

use creel_base::digest::Digest;
use creel_base::platform::{ParsePlatformError, Platform};
use serde::{Deserialize, Serialize};

use super::{Unknown, text};

/// What an image is made of and how it is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// GOARCH.
    #[serde(default, deserialize_with = "text::or_default")]
    pub architecture: String,
    /// GOOS.
    #[serde(default, deserialize_with = "text::or_default")]
    pub os: String,
    /// The version of Windows it needs.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must have.
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
    /// How it is run.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "text::is_default"
    )]
    pub config: Execution,
    /// The layers' contents.
    pub rootfs: RootFs,
    /// How each layer came about, lowest first.
    #[serde(default, deserialize_with = "text::or_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl ImageConfig {
    /// Returns the platform with its parts in their normal spelling.
    ///
    /// # Errors
    /// [`ParsePlatformError`] for an empty or odd part.
    pub fn platform(&self) -> Result<Platform, ParsePlatformError> {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

/// The `config` of a configuration: what a container of the image starts with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// `user[:group]`, names or numbers; empty for root.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// `port[/protocol]`, the keys of a map.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// `NAME=VALUE`.
    #[serde(default, deserialize_with = "text::or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The start of the command line.
    #[serde(default, deserialize_with = "text::command", skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The rest of the command line, or all of it.
    #[serde(default, deserialize_with = "text::command", skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Directories for data, the keys of a map.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// The directory the command starts in.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// Free text by whoever made the image: never a setting.
    #[serde(
        default,
        deserialize_with = "text::or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the command to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Whether a Windows command line is escaped already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_escaped: Option<bool>,
    /// How Docker finds out whether the container is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthCheck>,
    /// The shell of Containerfile commands in shell form (Docker).
    #[serde(default, deserialize_with = "text::or_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Containerfile lines run when the image is built upon (Docker).
    #[serde(default, deserialize_with = "text::or_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A health check, as Docker has it. Times are nanoseconds; 0 means inherited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthCheck {
    /// `NONE`, `CMD` and arguments, or `CMD-SHELL` and a line.
    #[serde(default, deserialize_with = "text::or_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Time between checks.
    #[serde(default, skip_serializing_if = "text::is_default")]
    pub interval: u64,
    /// Time until a check counts as failed.
    #[serde(default, skip_serializing_if = "text::is_default")]
    pub timeout: u64,
    /// Time in which failures do not count.
    #[serde(default, skip_serializing_if = "text::is_default")]
    pub start_period: u64,
    /// Time between checks during the start.
    #[serde(default, skip_serializing_if = "text::is_default")]
    pub start_interval: u64,
    /// Failures in a row until the container counts as unwell.
    #[serde(default, skip_serializing_if = "text::is_default")]
    pub retries: u64,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The layers' contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layers, lowest first.
    #[serde(default, with = "text::list")]
    pub diff_ids: Vec<Digest>,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".into(), diff_ids: Vec::new(), unknown: Unknown::new() }
    }
}

/// How a layer came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// By what command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "text::is_default")]
    pub empty_layer: bool,
    /// Other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}
