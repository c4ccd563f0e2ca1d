//! What a container is at the moment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::directory::Directory;
use super::error::LifecycleError;
use super::record::Record;
use crate::spec::VERSION;

/// A step of the life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Ready, and waiting for its start.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are stopped until they are let go on.
    Paused,
    /// Its first process has ended.
    Stopped,
}

impl Status {
    pub(super) fn of(directory: &Directory<'_>, record: &Record) -> Result<Self, LifecycleError> {
        if !record.process.identity().runs() {
            return Ok(Self::Stopped);
        }
        if record.is_frozen() {
            return Ok(Self::Paused);
        }
        Ok(if directory.waits()? { Self::Created } else { Self::Running })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// What the specification's `state` says, and what runc adds to it.
///
/// Source: `runtime.md`, "State".
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the specification.
    pub oci_version: &'static str,
    /// The container.
    pub id: String,
    /// Its first process; 0 once it is stopped.
    pub pid: i32,
    /// Its status.
    pub status: Status,
    /// Its bundle.
    pub bundle: PathBuf,
    /// Its root directory.
    pub rootfs: PathBuf,
    /// When it was made.
    pub created: Timestamp,
    /// The user id of who made it.
    pub owner: u32,
    /// What others noted about it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl State {
    pub(super) fn of(directory: &Directory<'_>) -> Result<Self, LifecycleError> {
        let record = directory.record()?;
        let status = Status::of(directory, &record)?;
        let told = record.told()?;
        let root = told.root.map(|root| root.path).unwrap_or_default();
        Ok(Self {
            oci_version: VERSION,
            id: directory.id.to_string(),
            status,
            pid: if status == Status::Stopped { 0 } else { record.process.pid },
            rootfs: record.bundle.join(root),
            bundle: record.bundle,
            created: record.created,
            owner: record.owner,
            annotations: told.annotations,
        })
    }
}
