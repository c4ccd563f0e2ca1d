//! Lowering of `mounts`.

use std::path::Path;

use creel_spawn::mount::{Change, Contents, Ids, Mapped, PROC_SUPER_MAGIC, READ_ONLY};
use creel_spawn::userns::IdMaps;
use creel_spawn::{Depth, Mount, Source};

use super::cgroup;
use super::error::{LowerError, value};
use super::idmap;
use super::linux::{has, is_new, mappings};
use super::options::MountOptions;
use super::{Options, missing};
use crate::spec::{self, Linux, NamespaceKind, Spec};

/// The most mounts of a container; the kernel takes 100000 by default (`fs.mount-max`).
const MAX_MOUNTS: usize = 32_768;

/// File systems that an option of theirs is checked for, with the options' names.
const DATA: [(&str, &[&str]); 4] = [
    (
        "tmpfs",
        &[
            "size",
            "mode",
            "uid",
            "gid",
            "nr_inodes",
            "nr_blocks",
            "huge",
            "mpol",
            "noswap",
            "inode32",
            "inode64",
            "casefold",
            "strict_encoding",
            "quota",
            "usrquota",
            "grpquota",
            "usrquota_block_hardlimit",
            "usrquota_inode_hardlimit",
            "grpquota_block_hardlimit",
            "grpquota_inode_hardlimit",
        ],
    ),
    ("devpts", &["newinstance", "ptmxmode", "mode", "uid", "gid", "max"]),
    ("proc", &["hidepid", "subset", "gid"]),
    ("mqueue", &[]),
];

/// Files of `/proc` that something can be mounted on: what stands in for them tells about the container
/// (lxcfs), and nothing is decided by what they say. runc takes the same.
const IN_PROC: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

pub(super) fn lower(
    spec: &Spec,
    linux: &Linux,
    options: &Options,
) -> Result<Vec<Mount>, LowerError> {
    if spec.mounts.len() > MAX_MOUNTS {
        return Err(value("mounts", spec.mounts.len(), "at most 32768 mounts"));
    }
    let mut mounts = Vec::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let field = format!("mounts[{index}]");
        check_destination(&field, &mount.destination)?;
        let lowering =
            Lowering { field, mount, linux, parsed: MountOptions::parse(&mount.options) };
        lowering.lower(&mut mounts, options)?;
    }
    Ok(mounts)
}

/// A relative one begins at the root, as it did before version 1.1 of the specification.
fn check_destination(field: &str, destination: &str) -> Result<(), LowerError> {
    let rule = match () {
        () if destination.is_empty() => return Err(missing(&format!("{field}.destination"))),
        () if destination.contains('\0') => "a path",
        () if names(destination).any(|name| name == "..") => "a path without `..`",
        () if names(destination).next().is_none() => "a path below the root",
        () => return Ok(()),
    };
    Err(value(format!("{field}.destination"), destination, rule))
}

/// The destinations that are relative, which is deprecated: to warn of.
#[must_use]
pub fn relative_destinations(spec: &Spec) -> Vec<&str> {
    let destinations = spec.mounts.iter().map(|mount| mount.destination.as_str());
    destinations.filter(|destination| !destination.starts_with('/')).collect()
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

struct Lowering<'a> {
    field: String,
    mount: &'a spec::Mount,
    linux: &'a Linux,
    parsed: MountOptions,
}

impl Lowering<'_> {
    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.field)
    }

    fn lower(&self, mounts: &mut Vec<Mount>, options: &Options) -> Result<(), LowerError> {
        let kind = self.mount.kind.as_deref().unwrap_or("");
        let magic = self.check_proc(kind)?;
        if self.parsed.remount {
            mounts.push(self.made(Source::There));
            return Ok(());
        }
        if let Some(depth) = self.parsed.bind {
            self.check_data("")?;
            let replaces = self.parsed.one != Change::default();
            mounts.push(Mount { magic, replaces, ..self.made(self.bound(depth)?) });
            return Ok(());
        }
        if self.map().is_some() {
            let rule = "a bind mount, as one with id maps must be";
            return Err(value(self.field("type"), kind, rule));
        }
        self.check_data(kind)?;
        match kind {
            "" => return Err(missing(&self.field("type"))),
            "cgroup" | "cgroup2" => {
                let made = |source| self.made(source);
                cgroup::lower(mounts, made, self.linux, options);
            }
            kind => mounts.push(self.file_system(kind)),
        }
        Ok(())
    }

    fn made(&self, source: Source) -> Mount {
        Mount {
            one: self.parsed.one,
            all: self.parsed.all,
            propagation: self.parsed.propagation,
            links: self.parsed.links,
            ..Mount::new(source, self.mount.destination.as_str(), 0)
        }
    }

    /// Where the kernel refuses a new file system because the namespace that it shows is not the
    /// container's, the host's is bound.
    fn file_system(&self, kind: &str) -> Mount {
        let (source, shown) = match kind {
            "proc" if self.parsed.data.is_empty() => {
                (Source::Proc, Some((NamespaceKind::Pid, "/proc")))
            }
            "sysfs" => (Source::Sysfs, Some((NamespaceKind::Network, "/sys"))),
            "mqueue" => (self.system(kind), Some((NamespaceKind::Ipc, "/dev/mqueue"))),
            _ => (self.system(kind), None),
        };
        let foreign = shown.filter(|(namespace, _)| !is_new(self.linux, *namespace));
        let has_mode = self.parsed.data.iter().any(|option| option.starts_with("mode="));
        let memory = kind == "tmpfs";
        Mount {
            stand_in: foreign.map(|(_, path)| path.into()),
            contents: Contents {
                same_mode: memory && !has_mode,
                copied: memory && self.parsed.copied,
                ..Contents::default()
            },
            ..self.made(source)
        }
    }

    fn system(&self, kind: &str) -> Source {
        let source = self.mount.source.as_ref().filter(|source| !source.as_os_str().is_empty());
        let mut data: Vec<_> =
            source.map(|source| format!("source={}", source.display())).into_iter().collect();
        // Only a device is opened for writing, and may not be.
        let device = source.is_some_and(|source| source.is_absolute());
        if device && self.parsed.one.set & READ_ONLY != 0 {
            data.push("ro".into());
        }
        data.extend(self.parsed.common.iter().chain(&self.parsed.data).cloned());
        Source::New(kind.into(), data)
    }

    fn bound(&self, depth: Depth) -> Result<Source, LowerError> {
        let path = self.mount.source.as_deref().unwrap_or_else(|| Path::new(""));
        if path.as_os_str().is_empty() {
            return Err(missing(&self.field("source")));
        }
        if !path.is_absolute() {
            return Err(value(self.field("source"), path.display(), "an absolute path"));
        }
        // What is no link, or not there, is for the mount to tell.
        if self.parsed.link_copied
            && let Ok(text) = std::fs::read_link(path)
        {
            return Ok(Source::Link(text.to_string_lossy().into_owned()));
        }
        Ok(match (self.map(), depth) {
            (Some(mapped), _) => {
                let (path, ids) = (path.into(), self.ids()?);
                Source::Mapped(Mapped { path, depth, mapped, ids })
            }
            (None, Depth::All) => Source::Bind(path.into()),
            (None, Depth::One) => Source::BindOne(path.into()),
        })
    }

    /// Maps of its own make an idmapped mount also without the option.
    fn map(&self) -> Option<Depth> {
        let own = !self.mount.uid_mappings.is_empty() || !self.mount.gid_mappings.is_empty();
        self.parsed.map.or_else(|| own.then_some(Depth::One))
    }

    /// Those of the mount, or those of the container's user namespace.
    fn ids(&self) -> Result<Ids, LowerError> {
        if let Some(text) = &self.parsed.ids {
            let read = idmap::read(text, self.linux);
            let wrong = || {
                let rule = "ids such as `uids=0-1000-10#10-2000-1;gids=0-1000-10`";
                value(self.field("options"), text, rule)
            };
            return read.map(Ids::Map).ok_or_else(wrong);
        }
        let (uids, gids) = (&self.mount.uid_mappings, &self.mount.gid_mappings);
        match (uids.is_empty(), gids.is_empty()) {
            (true, true) if has(self.linux, NamespaceKind::User) => Ok(Ids::Container),
            (true, true) => Err(missing("linux.uidMappings")),
            (true, false) => Err(missing(&self.field("uidMappings"))),
            (false, true) => Err(missing(&self.field("gidMappings"))),
            (false, false) => Ok(Ids::Map(IdMaps {
                uids: mappings(&self.field("uidMappings"), uids)?,
                gids: mappings(&self.field("gidMappings"), gids)?,
            })),
        }
    }

    /// A `/proc` of the image's own making would have the last word about labels and about what other
    /// programs believe of processes (CVE-2019-16884). Returns what a bound source must be.
    fn check_proc(&self, kind: &str) -> Result<Option<i64>, LowerError> {
        let mut names = names(&self.mount.destination);
        if names.next() != Some("proc") {
            return Ok(None);
        }
        let below = names.collect::<Vec<_>>().join("/");
        match (below.as_str(), self.parsed.bind) {
            ("", Some(_)) => Ok(Some(PROC_SUPER_MAGIC)),
            ("", None) if kind == "proc" || self.parsed.remount => Ok(None),
            (below, _) if IN_PROC.contains(&below) => Ok(None),
            _ => {
                let rule = "a path that anything but `proc` can be mounted on";
                Err(value(self.field("destination"), &self.mount.destination, rule))
            }
        }
    }

    fn check_data(&self, kind: &str) -> Result<(), LowerError> {
        let known = DATA.into_iter().find(|(known, _)| *known == kind).map(|(_, names)| names);
        let known = if kind.is_empty() { Some(&[][..]) } else { known };
        let Some(known) = known else { return Ok(()) };
        let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
        let unknown = |option: &&String| !known.contains(&name(option).as_str());
        match self.parsed.data.iter().find(unknown) {
            None => Ok(()),
            Some(option) => Err(LowerError::MountOption {
                field: self.field("options"),
                destination: self.mount.destination.clone(),
                option: option.clone(),
            }),
        }
    }
}
