//! What this runtime implements, by the names that the specification gives things.
//!
//! Source: opencontainers/runtime-spec 1.3.0, `features.md` and `features-linux.md`. Every list is made
//! of the table that the lowering goes by; what has none is tried by a test.

use std::collections::BTreeMap;

use creel_codec::bpf::capability;
use serde::Serialize;

use crate::lower;
use crate::seccomp;
use crate::spec::{Hooks, NamespaceKind, VERSION};

/// The oldest version of the specification whose documents are understood.
const OLDEST: &str = "1.0.0";

/// What this runtime implements. Whether the kernel has it as well is not said, but of filter flags.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// The oldest version of the specification whose documents are understood.
    pub oci_version_min: &'static str,
    /// The newest.
    pub oci_version_max: &'static str,
    /// Moments of hooks.
    pub hooks: Vec<&'static str>,
    /// Mount options that are not left to the file system.
    pub mount_options: Vec<String>,
    /// What is Linux's own.
    pub linux: LinuxFeatures,
    /// What else there is to tell.
    pub annotations: BTreeMap<&'static str, &'static str>,
    /// Annotations that change what a container may do to the machine.
    pub potentially_unsafe_config_annotations: Vec<&'static str>,
}

/// What is Linux's own.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxFeatures {
    /// Kinds of namespaces.
    pub namespaces: Vec<String>,
    /// Capabilities.
    pub capabilities: &'static [&'static str],
    /// Control groups.
    pub cgroup: CgroupFeatures,
    /// System call filters.
    pub seccomp: SeccompFeatures,
    /// Profiles of AppArmor.
    pub apparmor: Enabled,
    /// Labels of SELinux.
    pub selinux: Enabled,
    /// Classes of caches and memory bandwidth.
    pub intel_rdt: IntelRdtFeatures,
    /// Memory policies.
    pub memory_policy: MemoryPolicyFeatures,
    /// What mounts can have besides options.
    pub mount_extensions: MountExtensions,
    /// Moving network devices.
    pub net_devices: Enabled,
}

/// Whether something is implemented.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Enabled {
    /// Whether it is.
    pub enabled: bool,
}

const ENABLED: Enabled = Enabled { enabled: true };

/// Control groups.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFeatures {
    /// Version 1.
    pub v1: bool,
    /// Version 2.
    pub v2: bool,
    /// Groups made by the system's systemd.
    pub systemd: bool,
    /// Groups made by a user's systemd.
    pub systemd_user: bool,
    /// Limits of remote memory access.
    pub rdma: bool,
}

/// System call filters.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompFeatures {
    /// Whether there are any.
    pub enabled: bool,
    /// Actions.
    pub actions: &'static [&'static str],
    /// Comparisons.
    pub operators: &'static [&'static str],
    /// Interfaces.
    pub archs: Vec<&'static str>,
    /// Flags.
    pub known_flags: Vec<&'static str>,
    /// Those that this kernel has.
    pub supported_flags: Vec<&'static str>,
}

/// Classes of caches and memory bandwidth.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct IntelRdtFeatures {
    /// Whether there are any.
    pub enabled: bool,
    /// Whether `schemata` is.
    pub schemata: bool,
    /// Whether `enableMonitoring` is.
    pub monitoring: bool,
}

/// Memory policies.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryPolicyFeatures {
    /// Modes.
    pub modes: Vec<&'static str>,
    /// Flags.
    pub flags: Vec<&'static str>,
}

/// What mounts can have besides options.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MountExtensions {
    /// Id maps of their own.
    pub idmap: Enabled,
}

impl Features {
    /// Those of this runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            oci_version_min: OLDEST,
            oci_version_max: VERSION,
            hooks: Hooks::default().by_moment().map(|(moment, _)| moment).to_vec(),
            mount_options: lower::mount_options(),
            linux: LinuxFeatures::new(),
            annotations: BTreeMap::from([("dev.creel.version", env!("CARGO_PKG_VERSION"))]),
            // Those that there are take rights away.
            potentially_unsafe_config_annotations: Vec::new(),
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self::new()
    }
}

impl LinuxFeatures {
    fn new() -> Self {
        let known = seccomp::known();
        let (modes, flags) = lower::memory_policies();
        Self {
            namespaces: NamespaceKind::ALL.map(|kind| kind.to_string()).to_vec(),
            capabilities: &capability::NAMES,
            cgroup: CgroupFeatures {
                v1: true,
                v2: true,
                systemd: true,
                systemd_user: true,
                rdma: true,
            },
            seccomp: SeccompFeatures {
                enabled: true,
                actions: known.actions,
                operators: known.comparisons,
                archs: known.interfaces,
                known_flags: known.flags,
                supported_flags: known.kernel_flags,
            },
            apparmor: ENABLED,
            selinux: ENABLED,
            intel_rdt: IntelRdtFeatures { enabled: true, schemata: true, monitoring: true },
            memory_policy: MemoryPolicyFeatures { modes, flags },
            mount_extensions: MountExtensions { idmap: ENABLED },
            net_devices: ENABLED,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::lower::{LowerError, Options, lower};
    use crate::spec::Spec;

    /// What becomes of a good specification with a property replaced.
    fn lowered(pointer: &str, value: Value) -> Result<creel_spawn::Plan, LowerError> {
        let mut spec = serde_json::to_value(crate::defaults::bundle()).unwrap();
        let mut place = &mut spec;
        for name in pointer.split('.') {
            place = &mut place[name];
        }
        *place = value;
        lower(&serde_json::from_value::<Spec>(spec).unwrap(), &Options::default())
    }

    fn list(features: &Value, pointer: &str) -> Vec<String> {
        serde_json::from_value(features.pointer(pointer).unwrap().clone()).unwrap()
    }

    /// Each name is taken where it belongs, and another one is not.
    #[test]
    fn what_is_told_is_taken() {
        let features = serde_json::to_value(Features::new()).unwrap();
        let filter = |action: &str, op: &str, arch: &str, flag: &str| {
            let rule = json!({"names": ["read"], "action": action,
                "args": [{"index": 0, "value": 1, "op": op}]});
            let filter = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch],
                "flags": [flag], "syscalls": [rule], "listenerPath": "/run/x"});
            lowered("linux.seccomp", filter)
        };
        let (op, arch, flag) = ("SCMP_CMP_EQ", "SCMP_ARCH_X86_64", "SECCOMP_FILTER_FLAG_LOG");
        for action in list(&features, "/linux/seccomp/actions") {
            filter(&action, op, arch, flag).unwrap();
        }
        for op in list(&features, "/linux/seccomp/operators") {
            filter("SCMP_ACT_ERRNO", &op, arch, flag).unwrap();
        }
        for arch in list(&features, "/linux/seccomp/archs") {
            filter("SCMP_ACT_ERRNO", op, &arch, flag).unwrap();
        }
        for flag in list(&features, "/linux/seccomp/knownFlags") {
            filter("SCMP_ACT_ERRNO", op, arch, &flag).unwrap();
        }
        assert!(filter("SCMP_ACT_X", op, arch, flag).is_err());
        let nodes = |mode: &str| {
            if mode.ends_with("LOCAL") || mode.ends_with("DEFAULT") { "" } else { "0" }
        };
        for mode in list(&features, "/linux/memoryPolicy/modes") {
            let policy = json!({"mode": mode, "nodes": nodes(&mode)});
            lowered("linux.memoryPolicy", policy).unwrap();
        }
        for flag in list(&features, "/linux/memoryPolicy/flags") {
            let policy = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]});
            lowered("linux.memoryPolicy", policy).unwrap();
        }
        for capability in list(&features, "/linux/capabilities") {
            let set = json!({"bounding": [capability]});
            let plan = lowered("process.capabilities", set).unwrap();
            assert_eq!(plan.process.capabilities.bounding.len(), 1, "{capability}");
        }
        for namespace in list(&features, "/linux/namespaces") {
            serde_json::from_value::<NamespaceKind>(json!(namespace)).unwrap();
        }
        for option in list(&features, "/mountOptions") {
            let mount =
                json!([{"destination": "/x", "source": "/x", "options": ["rbind", option]}]);
            match lowered("mounts", mount) {
                // They need ids, which a container without a user namespace does not have.
                Err(LowerError::Missing { .. }) if option.ends_with("idmap") => {}
                done => drop(done.unwrap()),
            }
        }
        lowered("linux.netDevices", json!({"eth0": {}})).unwrap();
        lowered("linux.intelRdt", json!({"schemata": ["L3:0=f"], "enableMonitoring": true}))
            .unwrap();
    }

    #[test]
    fn every_moment_of_hooks_is_told() {
        let hook = json!([{"path": "/x"}]);
        let hooks: Value =
            Features::new().hooks.iter().map(|name| ((*name).to_owned(), hook.clone())).collect();
        let hooks: Hooks = serde_json::from_value(hooks).unwrap();
        assert!(hooks.by_moment().iter().all(|(_, hooks)| hooks.len() == 1));
    }
}
