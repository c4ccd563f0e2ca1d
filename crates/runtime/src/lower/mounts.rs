//! Lowering of `mounts`.

use std::path::Path;

use creel_spawn::cgroup::Hierarchy;
use creel_spawn::mount::READ_ONLY;
use creel_spawn::{Depth, Mount, Source};

use super::error::{LowerError, value};
use super::linux::{absolute, is_new};
use super::options::MountOptions;
use super::{Options, missing};
use crate::spec::{self, Linux, NamespaceKind, Spec};

/// File systems that an option of theirs is checked for, with the options' names.
const DATA: [(&str, &[&str]); 4] = [
    ("tmpfs", &["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "huge", "mpol", "noswap"]),
    ("devpts", &["newinstance", "ptmxmode", "mode", "uid", "gid", "max"]),
    ("proc", &["hidepid", "subset", "gid"]),
    ("mqueue", &[]),
];

pub(super) fn lower(
    spec: &Spec,
    linux: &Linux,
    options: &Options,
) -> Result<Vec<Mount>, LowerError> {
    let mut mounts = Vec::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let field = format!("mounts[{index}]");
        absolute(format!("{field}.destination"), &mount.destination)?;
        if mount.destination.split('/').any(|name| name == "..") {
            return Err(value(field + ".destination", &mount.destination, "a path without `..`"));
        }
        lower_mount(&mut mounts, &field, mount, linux, options)?;
    }
    Ok(mounts)
}

fn lower_mount(
    mounts: &mut Vec<Mount>,
    field: &str,
    mount: &spec::Mount,
    linux: &Linux,
    options: &Options,
) -> Result<(), LowerError> {
    let parsed = MountOptions::parse(&mount.options);
    let kind = mount.kind.as_deref().unwrap_or("");
    let made = |source| Mount {
        source,
        target: mount.destination.clone(),
        one: parsed.one,
        all: parsed.all,
        propagation: parsed.propagation,
    };
    if let Some(depth) = parsed.bind {
        check_data(field, mount, "", &parsed.data)?;
        let path = mount.source.as_deref().ok_or_else(|| missing(&format!("{field}.source")))?;
        mounts.push(made(bind(field, path, depth)?));
        return Ok(());
    }
    check_data(field, mount, kind, &parsed.data)?;
    match kind {
        "" => return Err(missing(&format!("{field}.type"))),
        "proc" if parsed.data.is_empty() => mounts.push(made(Source::Proc)),
        // The kernel gives a new one only to who owns the network namespace.
        "sysfs" if foreign_network(linux, options) => mounts.push(host_sysfs(mount)),
        "sysfs" => mounts.push(made(Source::Sysfs)),
        "cgroup" | "cgroup2" => lower_cgroup(mounts, made, options),
        kind => mounts.push(made(Source::New(kind.into(), parsed.data.clone()))),
    }
    Ok(())
}

fn bind(field: &str, path: &Path, depth: Depth) -> Result<Source, LowerError> {
    if !path.is_absolute() {
        return Err(value(format!("{field}.source"), path.display(), "an absolute path"));
    }
    Ok(match depth {
        Depth::All => Source::Bind(path.into()),
        Depth::One => Source::BindOne(path.into()),
    })
}

fn check_data(
    field: &str,
    mount: &spec::Mount,
    kind: &str,
    data: &[String],
) -> Result<(), LowerError> {
    let known = DATA.into_iter().find(|(known, _)| *known == kind).map(|(_, names)| names);
    let known = if kind.is_empty() { Some(&[][..]) } else { known };
    let Some(known) = known else { return Ok(()) };
    let name = |option: &str| option.split_once('=').map_or(option, |(name, _)| name).to_owned();
    match data.iter().find(|option| !known.contains(&name(option).as_str())) {
        None => Ok(()),
        Some(option) => Err(LowerError::MountOption {
            field: format!("{field}.options"),
            destination: mount.destination.clone(),
            option: option.clone(),
        }),
    }
}

fn foreign_network(linux: &Linux, options: &Options) -> bool {
    let user = options.in_user_namespace || is_new(linux, NamespaceKind::User);
    user && !is_new(linux, NamespaceKind::Network)
}

/// The host's, read-only with all below it whatever the options say: it is not the container's.
fn host_sysfs(mount: &spec::Mount) -> Mount {
    Mount::new(Source::Bind("/sys".into()), mount.destination.as_str(), READ_ONLY | 2 | 4 | 8)
}

/// What the container's own group looks like from inside. With version 1 there is a mount for each
/// controller that the container has a group of; the others would show the host's. Their directory
/// has no room for anything else, so that it need not be made read-only afterwards.
fn lower_cgroup(mounts: &mut Vec<Mount>, made: impl Fn(Source) -> Mount, options: &Options) {
    let Some(group) = options.cgroup.as_deref() else { return };
    if let Hierarchy::V2(_) = group.hierarchy() {
        mounts.push(made(Source::New("cgroup2".into(), Vec::new())));
        return;
    }
    let controllers = group.controllers();
    let inodes = format!("nr_inodes={}", controllers.len() + 1);
    let room = ["mode=755".into(), "size=4k".into(), inodes];
    let mut directory = made(Source::New("tmpfs".into(), room.to_vec()));
    directory.one.set &= !READ_ONLY;
    let target = directory.target.clone();
    mounts.push(directory);
    for controller in controllers {
        let source = Source::New("cgroup".into(), vec![(*controller).into()]);
        mounts.push(Mount { target: format!("{target}/{controller}"), ..made(source) });
    }
}
