//! The runtime specification's `config.json`, as types.
//!
//! Source: opencontainers/runtime-spec 1.3.0, `config.md` and `config-linux.md`. Names and shapes
//! are the specification's. Properties that are not here are ignored, as the specification demands
//! of unknown ones; they are not kept, because nobody writes back what a caller wrote. Values are
//! checked when the specification is lowered, so that an error can name the property.

mod hooks;
mod linux;
mod null;
mod process;
mod resources;
mod seccomp;
mod state;
mod tuning;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use hooks::{Hook, Hooks};
pub use linux::{
    Device, IdMapping, IntelRdt, Linux, Namespace, NamespaceKind, NetDevice, TimeOffset,
};
pub use process::{Capabilities, ConsoleSize, Process, Rlimit, User};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugePages, Memory, Network, Pids, Priority, Rate, Rdma, Resources,
    Weight,
};
pub use seccomp::{ArchMap, Argument, Condition, Seccomp, SyscallRule};
pub use state::{ProcessState, State, Status};
pub use tuning::{CpuAffinity, IoPriority, MemoryPolicy, Personality, Scheduler};

/// The version of the specification that is followed.
pub const VERSION: &str = "1.3.0";

/// What a container is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// The version of the specification that the document follows.
    pub oci_version: String,
    /// The root file system; the caller of the lowering can put another in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The host name; needs a new UTS namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The NIS domain name; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Mounts, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub mounts: Vec<Mount>,
    /// Programs that are run at moments of its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// What others noted about the container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub annotations: BTreeMap<String, String>,
    /// What is Linux's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Root {
    /// Its directory, absolute or relative to the bundle.
    pub path: PathBuf,
    /// Whether it is read-only.
    pub readonly: bool,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where; absolute, resolved inside the root.
    pub destination: String,
    /// The type of the file system; without meaning for a bind mount, which the options make one.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A device, or the file or directory that is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    /// Options, as those of `mount(8)`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub options: Vec<String>,
    /// User ids of its files: on disk, and as which they are shown.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub gid_mappings: Vec<IdMapping>,
}

impl Mount {
    /// A mount of a new file system.
    #[must_use]
    pub fn new(kind: &str, destination: &str, options: &[&str]) -> Self {
        Self {
            destination: destination.into(),
            kind: Some(kind.into()),
            source: Some(kind.into()),
            options: options.iter().map(|option| (*option).into()).collect(),
            ..Self::default()
        }
    }

    /// A mount of a file or directory of the host; `options` must hold `bind` or `rbind`.
    #[must_use]
    pub fn bind(source: impl Into<PathBuf>, destination: &str, options: &[&str]) -> Self {
        Self { source: Some(source.into()), ..Self::new("bind", destination, options) }
    }
}
