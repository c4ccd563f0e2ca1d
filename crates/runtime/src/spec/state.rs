//! The state of a container, as `runtime.md` has it, and that of a process, as `config-linux.md` has
//! it for the supervisor of a filter.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits for its start.
    Created,
    /// It runs.
    Running,
    /// It has ended.
    Stopped,
    /// It runs no further until it is told to; runtimes have added this.
    Paused,
}

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the specification that this is of.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Its first process in the runtime's namespace; none when it has ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<i32>,
    /// The absolute path of its bundle.
    pub bundle: PathBuf,
    /// Its annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

/// The state of a process of a container, which comes with descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessState {
    /// The version of the specification that this is of.
    pub oci_version: String,
    /// What the descriptors are, in their order.
    pub fds: Vec<String>,
    /// The process in the runtime's namespace.
    pub pid: i32,
    /// Whatever the specification gives the receiver.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<String>,
    /// The container.
    pub state: State,
}
