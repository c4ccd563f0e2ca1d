//! `linux` of `config-linux.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::null;
use super::resources::Resources;
use super::seccomp::Seccomp;
use super::tuning::{MemoryPolicy, Personality};

/// What is Linux's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// User ids of a new user namespace.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of it.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub gid_mappings: Vec<IdMapping>,
    /// Namespaces; those not named are the caller's.
    #[serde(deserialize_with = "null::as_default")]
    pub namespaces: Vec<Namespace>,
    /// The label of SELinux that its mounts get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_label: Option<String>,
    /// The execution domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    /// Where memory comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// By how much the clocks of a new time namespace are shifted: `monotonic`, `boottime`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
    /// Devices besides those that every container has.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub devices: Vec<Device>,
    /// Devices of the caller's network namespace that it gets, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub net_devices: BTreeMap<String, NetDevice>,
    /// Its share of caches and memory bandwidth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// Limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Name of the control group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<String>,
    /// Kernel parameters, by name with dots.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub sysctl: BTreeMap<String, String>,
    /// The system call filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Paths hidden if they exist.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub masked_paths: Vec<String>,
    /// Paths made read-only if they exist.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub readonly_paths: Vec<String>,
    /// `shared`, `slave`, `private` or `unbindable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs_propagation: Option<String>,
}

/// A range of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// A device of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetDevice {
    /// Its name inside, if not that outside; one that ends in `%d` gets a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A share of caches and memory bandwidth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// The name of a class, `/` for that of all that have none; one of the container's own if not said.
    #[serde(rename = "closID", skip_serializing_if = "Option::is_none")]
    pub clos_id: Option<String>,
    /// Lines of its `schemata`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// The line about the cache of the third level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_schema: Option<String>,
    /// That about memory bandwidth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_schema: Option<String>,
    /// Whether the container is monitored.
    pub enable_monitoring: bool,
}

/// By how much a clock is shifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimeOffset {
    /// Seconds.
    pub secs: i64,
    /// Nanoseconds to add, below 10^9.
    pub nanosecs: u32,
}

/// A namespace that the container has for its own or shares with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// Which.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// The file of one to join; a new one if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

impl Namespace {
    /// A new namespace.
    #[must_use]
    pub fn new(kind: NamespaceKind) -> Self {
        Self { kind, path: None }
    }

    /// The file of one to join; an empty path is none.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// The kinds of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Process ids.
    Pid,
    /// Network.
    Network,
    /// Mounts.
    Mount,
    /// Message queues and the like.
    Ipc,
    /// Host and domain name.
    Uts,
    /// User and group ids.
    User,
    /// Control groups.
    Cgroup,
    /// Clocks.
    Time,
}

impl NamespaceKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Cgroup,
        Self::Ipc,
        Self::Mount,
        Self::Network,
        Self::Pid,
        Self::Time,
        Self::User,
        Self::Uts,
    ];
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Mount => "mount",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        })
    }
}

/// A device node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Path inside.
    pub path: String,
    /// Major number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<i64>,
    /// Minor number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<i64>,
    /// Permission bits; 0666 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// Owner inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}
