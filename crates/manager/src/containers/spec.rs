//! From an image, a person's choices and the users of the image to a runtime specification.

use std::collections::BTreeSet;

use creel_base::hint::Hint;
use creel_codec::bpf::capability;
use creel_image::process::Process;
use creel_image::user::User;
use creel_runtime::defaults;
use creel_runtime::spec::{self, ConsoleSize, Linux, NamespaceKind, Rlimit, Spec};

use super::devices;
use super::options::{Capabilities, Network, Options};
use crate::Privileges;

/// Most processes and threads of a container that asks for no other number, as in Podman.
const PIDS: i64 = 2048;
/// The period of processor time, in microseconds: the kernel's own.
const PERIOD: u64 = 100_000;
/// Where programs write however read-only the root is.
const WRITABLE: [&str; 3] = ["/run", "/tmp", "/var/tmp"];

/// Why the choices make no specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There is no such capability.
    #[error("`{name}` is no capability")]
    Capability {
        /// What was asked for.
        name: String,
    },
    /// Two mounts have one target.
    #[error("two mounts have the target `{target}`")]
    DoubleTarget {
        /// The target.
        target: String,
    },
}

impl Hint for SpecError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Capability { .. } => Some(
                "write it as in `man 7 capabilities`, such as `CAP_NET_ADMIN`, or `ALL`".into(),
            ),
            Self::DoubleTarget { .. } => None,
        }
    }
}

/// Writes the specification. `hostname` is what the container is called.
pub(super) fn spec(
    process: Process,
    user: &User,
    options: &Options,
    hostname: &str,
    privileges: Privileges,
) -> Result<Spec, SpecError> {
    let mut spec = defaults::spec();
    spec.hostname = Some(hostname.to_owned());
    spec.root = Some(spec::Root { path: "/".into(), readonly: options.read_only });
    spec.mounts = mounts(std::mem::take(&mut spec.mounts), options, privileges)?;
    spec.process = Some(spec::Process {
        terminal: options.terminal.is_some(),
        console_size: options
            .terminal
            .map(|[height, width]| ConsoleSize { height: height.into(), width: width.into() }),
        user: spec::User {
            uid: user.uid,
            gid: user.gid,
            umask: None,
            additional_gids: user.groups.clone(),
        },
        env: environment(process.env, user, hostname),
        args: process.argv,
        cwd: process.cwd,
        capabilities: Some(capabilities(options, user.uid)?),
        rlimits: options.ulimits.iter().map(rlimit).collect(),
        no_new_privileges: options.no_new_privileges,
        ..spec::Process::default()
    });
    let linux = spec.linux.get_or_insert_default();
    isolate(linux, options);
    limit(linux, options);
    Ok(spec)
}

fn rlimit(limit: &super::options::Ulimit) -> Rlimit {
    Rlimit { kind: limit.name.clone(), soft: limit.soft, hard: limit.hard }
}

/// What every program expects, unless the image or a person says otherwise.
fn environment(mut env: Vec<String>, user: &User, hostname: &str) -> Vec<String> {
    let home = user.home.as_deref().unwrap_or("/");
    for (name, value) in [("HOME", home), ("HOSTNAME", hostname), ("container", "creel")] {
        let prefix = format!("{name}=");
        if !env.iter().any(|entry| entry.starts_with(&prefix)) {
            env.push(prefix + value);
        }
    }
    env
}

fn mounts(
    defaults: Vec<spec::Mount>,
    options: &Options,
    privileges: Privileges,
) -> Result<Vec<spec::Mount>, SpecError> {
    let own: Vec<spec::Mount> = options.volumes.iter().map(|volume| volume.to_mount()).collect();
    let mut targets = BTreeSet::new();
    for mount in &own {
        if !targets.insert(mount.destination.trim_end_matches('/')) {
            return Err(SpecError::DoubleTarget { target: mount.destination.clone() });
        }
    }
    let taken = |target: &str| targets.contains(target);
    let mut mounts: Vec<_> = defaults
        .into_iter()
        .filter(|mount| !taken(&mount.destination))
        .map(|mount| adapt(mount, options, privileges))
        .collect();
    if options.read_only {
        let memory = |target| spec::Mount::new("tmpfs", target, &["nosuid", "nodev", "mode=1777"]);
        mounts.extend(WRITABLE.into_iter().filter(|target| !taken(target)).map(memory));
    }
    mounts.extend(own);
    Ok(mounts)
}

/// A mount that every container has, as this one gets it.
fn adapt(mut mount: spec::Mount, options: &Options, privileges: Privileges) -> spec::Mount {
    let host_network = options.network == Network::Host;
    let one_id = privileges == Privileges::Namespace { setgroups_denied: true };
    match mount.destination.as_str() {
        // Terminals belong to the group of terminals, unless there is but one group.
        "/dev/pts" if one_id => {
            mount.options.retain(|option| !option.starts_with("gid="));
            mount
        }
        // A user namespace may not mount the sysfs of a network that is not its own.
        "/sys" if host_network && privileges != Privileges::Whole => {
            spec::Mount::bind("/sys", "/sys", &["rbind", "ro", "nosuid", "noexec", "nodev"])
        }
        "/sys" | "/sys/fs/cgroup" if options.privileged => {
            mount.options.retain(|option| option != "ro");
            mount
        }
        _ => mount,
    }
}

fn isolate(linux: &mut Linux, options: &Options) {
    if options.network == Network::Host {
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    }
    if options.privileged {
        linux.masked_paths.clear();
        linux.readonly_paths.clear();
        linux.devices = devices::of_host();
        let all =
            spec::DeviceRule { allow: true, access: Some("rwm".into()), ..Default::default() };
        linux.resources.get_or_insert_default().devices = vec![all];
    }
}

fn limit(linux: &mut Linux, options: &Options) {
    let limits = &options.limits;
    let resources = linux.resources.get_or_insert_default();
    if let Some(bytes) = limits.memory {
        let limit = i64::try_from(bytes).unwrap_or(i64::MAX);
        resources.memory = Some(spec::Memory { limit: Some(limit), ..Default::default() });
    }
    if let Some(milli) = limits.milli_cpus {
        let quota = i64::try_from(milli.saturating_mul(PERIOD / 1000)).unwrap_or(i64::MAX);
        let (quota, period) = (Some(quota), Some(PERIOD));
        resources.cpu = Some(spec::Cpu { quota, period, ..Default::default() });
    }
    resources.pids = Some(spec::Pids { limit: Some(limits.pids.unwrap_or(PIDS)) });
}

/// The capability sets, as Podman's: root has all that are allowed, another user only those that
/// were added by name, which then survive the execution of a program (ambient).
fn capabilities(options: &Options, uid: u32) -> Result<spec::Capabilities, SpecError> {
    let (allowed, added) = allowed(&options.capabilities, options.privileged)?;
    let names =
        |set: &BTreeSet<&str>| set.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let held = if uid == 0 { names(&allowed) } else { names(&added) };
    let ambient = if uid == 0 { Vec::new() } else { held.clone() };
    Ok(spec::Capabilities {
        bounding: names(&allowed),
        effective: held.clone(),
        permitted: held,
        inheritable: ambient.clone(),
        ambient,
    })
}

/// Every capability there is.
pub(super) fn all_capabilities() -> spec::Capabilities {
    defaults::capabilities(capability::NAMES)
}

/// The sets of a container's first process as another user of the container has them.
pub(super) fn for_user(mut sets: spec::Capabilities, uid: u32) -> spec::Capabilities {
    if uid != 0 {
        sets.effective.clone_from(&sets.ambient);
        sets.permitted.clone_from(&sets.ambient);
    } else if sets.effective.is_empty() {
        sets.effective.clone_from(&sets.bounding);
        sets.permitted.clone_from(&sets.bounding);
    }
    sets
}

type Names = BTreeSet<&'static str>;

/// Those allowed, and of them those that were added by name.
fn allowed(changes: &Capabilities, privileged: bool) -> Result<(Names, Names), SpecError> {
    let all = || capability::NAMES.iter().copied().collect::<Names>();
    let mut allowed: Names = match privileged {
        true => all(),
        false => capability::NAMES
            .iter()
            .copied()
            .filter(|name| defaults::CAPABILITIES.contains(name))
            .collect(),
    };
    let is_all = |name: &String| name.eq_ignore_ascii_case("all");
    if changes.drop.iter().any(is_all) {
        allowed.clear();
    }
    if changes.add.iter().any(is_all) {
        allowed = all();
    }
    let named = |list: &[String]| -> Result<Names, SpecError> {
        list.iter().filter(|name| !is_all(name)).map(|name| capability_name(name)).collect()
    };
    let (added, dropped) = (named(&changes.add)?, named(&changes.drop)?);
    allowed.extend(&added);
    allowed.retain(|name| !dropped.contains(name));
    let added = added.into_iter().filter(|name| allowed.contains(name)).collect();
    Ok((allowed, added))
}

/// Reads `CAP_CHOWN` or `chown`.
fn capability_name(text: &str) -> Result<&'static str, SpecError> {
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    let found = capability::NAMES.iter().copied().find(|known| *known == name);
    found.ok_or_else(|| SpecError::Capability { name: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32) -> User {
        User { uid, gid: 0, groups: Vec::new(), home: None, name: None }
    }

    fn made(options: &Options, uid: u32) -> Spec {
        let process = creel_image::process::Process {
            argv: vec!["true".into()],
            env: vec!["HOME=/own".into()],
            cwd: "/".into(),
            user: String::new(),
            stop_signal: creel_image::signal::Signal::TERM,
        };
        spec(process, &user(uid), options, "box", Privileges::Whole).unwrap()
    }

    fn held(options: &Options, uid: u32) -> spec::Capabilities {
        made(options, uid).process.unwrap().capabilities.unwrap()
    }

    fn with(add: &[&str], drop: &[&str]) -> Options {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let capabilities = Capabilities { add: texts(add), drop: texts(drop) };
        Options { capabilities, ..Options::default() }
    }

    #[test]
    fn capabilities_are_those_of_podman() {
        assert_eq!(held(&with(&[], &[]), 0).effective.len(), 11);
        assert_eq!(held(&with(&[], &["all"]), 0).bounding, Vec::<String>::new());
        let some = held(&with(&["net_admin"], &["ALL"]), 0);
        assert_eq!((some.bounding, some.ambient), (vec!["CAP_NET_ADMIN".to_owned()], vec![]));
        let other = held(&with(&["CAP_NET_ADMIN"], &["CHOWN"]), 1000);
        assert_eq!((other.bounding.len(), other.effective.len(), other.ambient.len()), (11, 1, 1));
        assert_eq!(
            held(&with(&["all"], &["sys_admin"]), 0).bounding.len(),
            capability::NAMES.len() - 1
        );
        assert!(allowed(&with(&["odd"], &[]).capabilities, false).is_err());
    }

    #[test]
    fn own_mounts_replace_those_every_container_has() {
        let volume = |text| super::super::Volume::parse(text, "/".as_ref()).unwrap();
        let options = Options { volumes: vec![volume("/a:/dev/shm/")], ..Options::default() };
        let mounts = made(&options, 0).mounts;
        let shm: Vec<_> = mounts.iter().filter(|m| m.destination.starts_with("/dev/shm")).collect();
        assert_eq!((shm.len(), shm[0].kind.as_deref()), (1, Some("bind")));
        let twice = vec![volume("/a:/b"), volume("/c:/b/")];
        let options = Options { volumes: twice, ..Options::default() };
        assert!(mounts_of(&options).is_err());
    }

    #[test]
    fn with_one_id_terminals_belong_to_it() {
        let gids = |setgroups_denied| {
            let privileges = Privileges::Namespace { setgroups_denied };
            let mounts = mounts(defaults::mounts(), &Options::default(), privileges).unwrap();
            mounts.iter().flat_map(|mount| &mount.options).filter(|o| o.starts_with("gid=")).count()
        };
        assert_eq!((gids(false), gids(true)), (1, 0));
    }

    fn mounts_of(options: &Options) -> Result<Vec<spec::Mount>, SpecError> {
        mounts(defaults::mounts(), options, Privileges::Whole)
    }

    #[test]
    fn the_environment_keeps_what_is_set() {
        let env = made(&Options::default(), 0).process.unwrap().env;
        assert_eq!(env, ["HOME=/own", "HOSTNAME=box", "container=creel"]);
    }
}
