//! What a container gets that asks for nothing.
//!
//! The lists are Podman's, so that an image which runs there runs here and is confined as there. They
//! were compared with the specification that Podman 5.8.6 (containers-common 0.67.1) writes;
//! `docs/compat.md` has each difference with its reason.

use creel_spawn::cgroup::Hierarchy;

use crate::spec::{
    Capabilities, Device, DeviceRule, IdMapping, Linux, Mount, Namespace, NamespaceKind, Process,
    Resources, Root, Spec, VERSION,
};

/// Capabilities of a container's root.
pub const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Paths that are hidden: they tell about or change the host, and no namespace covers them.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Further ones that only some machines have.
pub const MASKED_PATHS_OF_SOME: [&str; 2] = ["/sys/fs/selinux", "/sys/dev/block"];

/// Paths that can be read only: what is written there acts on the host.
pub const READ_ONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Devices that every container has (`config-linux.md`, "Default Devices"): name, major, minor.
/// `console` comes with a terminal and `ptmx` is a link.
pub const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Links in `/dev` (`runtime-linux.md`, "Dev symbolic links"): name, text.
pub const LINKS: [(&str, &str); 6] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// Where programs are looked for when the environment has no `PATH`.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The mounts of a container, in order.
#[must_use]
pub fn mounts() -> Vec<Mount> {
    vec![
        Mount::new("proc", "/proc", &["nosuid", "noexec", "nodev"]),
        Mount::new("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        Mount::new(
            "devpts",
            "/dev/pts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        Mount::new("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        Mount::new("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
        Mount::new("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
        Mount::new("cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

/// Every new namespace but that of users.
#[must_use]
pub fn namespaces() -> Vec<Namespace> {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Uts};
    [Mount, Pid, Network, Ipc, Uts, Cgroup].map(Namespace::new).to_vec()
}

/// The capability sets of a process that has these: bounding, effective and permitted. Nothing is
/// inheritable (CVE-2022-29162) or ambient.
#[must_use]
pub fn capabilities<'a>(names: impl IntoIterator<Item = &'a str>) -> Capabilities {
    let bounding: Vec<String> = names.into_iter().map(String::from).collect();
    Capabilities {
        effective: bounding.clone(),
        permitted: bounding.clone(),
        bounding,
        ..Capabilities::default()
    }
}

/// Refuses whatever devices are not usual; it is said as others say it.
fn no_device() -> DeviceRule {
    DeviceRule { allow: false, access: Some("rwm".into()), ..DeviceRule::default() }
}

/// A container's specification with all of the above; the program and the root are missing.
#[must_use]
pub fn spec() -> Spec {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).into()).collect();
    let masked = [MASKED_PATHS.as_slice(), MASKED_PATHS_OF_SOME.as_slice()].concat();
    Spec {
        oci_version: VERSION.into(),
        process: Some(Process {
            cwd: "/".into(),
            capabilities: Some(capabilities(CAPABILITIES)),
            ..Process::default()
        }),
        mounts: mounts(),
        linux: Some(Linux {
            namespaces: namespaces(),
            masked_paths: texts(&masked),
            readonly_paths: texts(&READ_ONLY_PATHS),
            resources: Some(Resources { devices: vec![no_device()], ..Resources::default() }),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

/// To send signals, to listen on low ports and to write to the audit log.
const FEW_CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// What `creel oci spec` writes: a shell in a terminal, in the directory `rootfs`.
///
/// As others write it, it has few capabilities and, with control groups of version 1, no namespace of
/// those: a mount of them shows a container its own part in any case.
#[must_use]
pub fn bundle() -> Spec {
    let mut spec = spec();
    spec.root = Some(Root { path: "rootfs".into(), readonly: true });
    spec.hostname = Some("creel".into());
    if let Some(process) = &mut spec.process {
        process.terminal = true;
        process.args = vec!["sh".into()];
        process.env = vec![format!("PATH={PATH}"), "TERM=xterm".into()];
        process.no_new_privileges = true;
        process.capabilities = Some(capabilities(FEW_CAPABILITIES));
    }
    if let (Some(linux), Ok(Hierarchy::V1(_))) = (&mut spec.linux, Hierarchy::detect()) {
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Cgroup);
    }
    spec
}

/// Makes a specification one that a user can run without root's rights: with a user namespace in which
/// that user and group, `ids`, are root, the network of the host, and no limits.
pub fn make_rootless(spec: &mut Spec, [uid, gid]: [u32; 2]) {
    let map = |host_id| vec![IdMapping { container_id: 0, host_id, size: 1 }];
    let linux = spec.linux.get_or_insert_default();
    linux.namespaces.retain(|one| one.kind != NamespaceKind::Network);
    linux.namespaces.push(Namespace::new(NamespaceKind::User));
    (linux.uid_mappings, linux.gid_mappings) = (map(uid), map(gid));
    linux.resources = None;
    for mount in &mut spec.mounts {
        // Other groups than the user's are not there.
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
        if mount.kind.as_deref() == Some("sysfs") {
            // The kernel makes a new one for the owner of the network only.
            let options = ["rbind", "nosuid", "noexec", "nodev", "rro"];
            *mount = Mount::bind("/sys", "/sys", &options);
        }
    }
}

/// The device of a specification for one of the host's character devices.
#[must_use]
pub fn character_device(path: &str, major: i64, minor: i64) -> Device {
    Device {
        kind: "c".into(),
        path: path.into(),
        major: Some(major),
        minor: Some(minor),
        file_mode: Some(0o666),
        ..Device::default()
    }
}
