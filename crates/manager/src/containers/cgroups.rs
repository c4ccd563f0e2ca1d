//! The control group of a container.

use std::path::Path;

use creel_runtime::spec::Resources;
use creel_spawn::cgroup::{Cgroup, Hierarchy, Limits};

use super::record::Record;
use super::run_error::RunError;

/// What all groups of containers are below.
const PARENT: &str = "creel";

/// Makes the group and sets its limits. `None` where this machine or user has none to give and no
/// limit was asked for.
///
/// # Errors
/// [`RunError::NoLimits`] where one was.
pub(super) fn make(record: &Record) -> Result<Option<Cgroup>, RunError> {
    let Some(hierarchy) = detect() else {
        if record.policy.limited {
            return Err(RunError::NoLimits { reason: "no control groups can be used here" });
        }
        return Ok(None);
    };
    let group = match Cgroup::create(hierarchy, &name(record)) {
        Err(_) if !record.policy.limited => return Ok(None),
        created => created?,
    };
    let resources = record.spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
    if let Err(error) = group.limit(&limits(resources)) {
        let _ = group.remove();
        return if record.policy.limited { Err(error.into()) } else { Ok(None) };
    }
    Ok(Some(group))
}

/// Returns the group of a running container, if it has one.
pub(super) fn existing(record: &Record) -> Result<Option<Cgroup>, RunError> {
    let name = name(record);
    let there = |hierarchy: &Hierarchy| match hierarchy {
        Hierarchy::V1(root) => root.join("pids").join(&name).is_dir(),
        Hierarchy::V2(root) => root.join(&name).is_dir(),
    };
    match detect().filter(there) {
        Some(hierarchy) => Ok(Some(Cgroup::create(hierarchy, &name)?)),
        None => Ok(None),
    }
}

fn name(record: &Record) -> String {
    format!("{PARENT}/{}", record.id)
}

fn limits(resources: Option<&Resources>) -> Limits {
    let Some(resources) = resources else { return Limits::default() };
    let positive = |limit: i64| u64::try_from(limit).ok();
    Limits {
        memory: resources.memory.and_then(|memory| memory.limit).and_then(positive),
        cpu: resources.cpu.as_ref().and_then(|cpu| Some((positive(cpu.quota?)?, cpu.period?))),
        pids: resources.pids.and_then(|pids| pids.limit).and_then(positive),
    }
}

fn detect() -> Option<Hierarchy> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return Some(Hierarchy::V2(root.to_owned()));
    }
    root.join("memory/cgroup.procs").exists().then(|| Hierarchy::V1(root.to_owned()))
}
