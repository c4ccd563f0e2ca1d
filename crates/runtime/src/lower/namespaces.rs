//! Lowering of `linux.namespaces` and `linux.timeOffsets`.

use std::path::Path;

use creel_spawn::{Clock, ClockOffset, JoinError, Joined, Namespace};

use super::error::{LowerError, value};
use super::linux::{is_new, needs};
use crate::spec::{self, Linux, NamespaceKind};

/// The namespaces of a container.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    pub(super) new: Vec<Namespace>,
    pub(super) joined: Vec<Joined>,
}

pub(super) fn lower(linux: &Linux) -> Result<Namespaces, LowerError> {
    let mut namespaces = Namespaces::default();
    for (index, (kind, one)) in kinds(linux)?.into_iter().zip(&linux.namespaces).enumerate() {
        let Some(path) = one.path() else {
            namespaces.new.push(kind);
            continue;
        };
        namespaces.joined.extend(join(&format!("linux.namespaces[{index}].path"), kind, path)?);
    }
    needs(linux, NamespaceKind::Mount, "root")?;
    Ok(namespaces)
}

/// The kinds of namespaces that the container does not just have from the runtime.
pub(crate) fn kinds(linux: &Linux) -> Result<Vec<Namespace>, LowerError> {
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        if linux.namespaces.iter().take(index).any(|earlier| earlier.kind == namespace.kind) {
            let value = namespace.kind.to_string();
            return Err(LowerError::Duplicate { field: "linux.namespaces".into(), value });
        }
    }
    Ok(linux.namespaces.iter().map(kind).collect())
}

fn kind(namespace: &spec::Namespace) -> Namespace {
    match namespace.kind {
        NamespaceKind::Pid => Namespace::Pid,
        NamespaceKind::Network => Namespace::Network,
        NamespaceKind::Mount => Namespace::Mount,
        NamespaceKind::Ipc => Namespace::Ipc,
        NamespaceKind::Uts => Namespace::Uts,
        NamespaceKind::User => Namespace::User,
        NamespaceKind::Cgroup => Namespace::Cgroup,
        NamespaceKind::Time => Namespace::Time,
    }
}

/// The kernel lets nobody join the user namespace that he is in.
fn join(field: &str, kind: Namespace, path: &Path) -> Result<Option<Joined>, LowerError> {
    if !path.is_absolute() {
        return Err(value(field, path.display(), "an absolute path"));
    }
    let unreadable = |source| LowerError::Open { field: field.into(), path: path.into(), source };
    let joined = Joined::open(kind, path).map_err(|error| match error {
        JoinError::Open(source) => unreadable(source),
        JoinError::Kind => value(field, path.display(), rule(kind)),
    })?;
    match (kind, joined.is_own().map_err(unreadable)?) {
        (Namespace::User, true) => Ok(None),
        (Namespace::Mount, true) => {
            Err(value(field, path.display(), "another mount namespace than the runtime's own"))
        }
        _ => Ok(Some(joined)),
    }
}

const fn rule(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Mount => "a mount namespace",
        Namespace::Cgroup => "a cgroup namespace",
        Namespace::Uts => "a uts namespace",
        Namespace::Ipc => "an ipc namespace",
        Namespace::User => "a user namespace",
        Namespace::Pid => "a pid namespace",
        Namespace::Network => "a network namespace",
        Namespace::Time => "a time namespace",
    }
}

pub(super) fn clocks(linux: &Linux) -> Result<Vec<ClockOffset>, LowerError> {
    let lower = |(name, offset): (&String, &spec::TimeOffset)| {
        let field = format!("linux.timeOffsets.{name}");
        let clock = match name.as_str() {
            "monotonic" => Clock::Monotonic,
            "boottime" => Clock::Boottime,
            _ => return Err(value("linux.timeOffsets", name, "`monotonic` or `boottime`")),
        };
        if offset.nanosecs >= 1_000_000_000 {
            let field = format!("{field}.nanosecs");
            return Err(value(field, offset.nanosecs, "below a second"));
        }
        if !is_new(linux, NamespaceKind::Time) {
            return Err(LowerError::NeedsNamespace { field, namespace: NamespaceKind::Time });
        }
        Ok(ClockOffset { clock, seconds: offset.secs, nanoseconds: offset.nanosecs })
    };
    linux.time_offsets.iter().map(lower).collect()
}
