//! The control group of a container.

use creel_spawn::cgroup::{Cgroup, CgroupError, Hierarchy};

use super::error::LifecycleError;
use super::record::{CgroupRecord, Record};
use crate::cgroup::{self, ResourcesError};
use crate::container::ContainerError;
use crate::lower::value;
use crate::spec::{Linux, NamespaceKind, Resources, Spec};

/// Makes the control group: that of `linux.cgroupsPath`, or one of the container's name. None where
/// there is no place for one and neither a limit nor a path was asked for, as for a user without a
/// delegated group; devices cannot be had there in any case.
pub(super) fn make(id: &str, spec: &Spec) -> Result<Option<Cgroup>, LifecycleError> {
    let (empty, nothing) = (Linux::default(), Resources::default());
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let resources = linux.resources.as_ref().unwrap_or(&nothing);
    let path = linux.cgroups_path.as_deref().filter(|path| !path.is_empty());
    let hierarchy = match Hierarchy::detect() {
        Err(_) if path.is_none() && !resources.limit_anything() => return Ok(None),
        found => found?,
    };
    let group = match path {
        Some(path) => {
            let made = cgroup::create_named(hierarchy, path.trim_matches('/'), resources);
            made.map_err(|error| named(error, path))?
        }
        None => cgroup::create(hierarchy, id, resources)?,
    };
    if let Err(error) = delegate(&group, spec, linux) {
        // The first error says more.
        let _ = group.remove();
        return Err(error);
    }
    Ok(Some(group))
}

fn named(error: ResourcesError, path: &str) -> LifecycleError {
    match error {
        ResourcesError::Cgroup(CgroupError::Name { .. }) => {
            value("linux.cgroupsPath", path, "a path of plain names, without `..`").into()
        }
        error => error.into(),
    }
}

/// Gives the group to the container's root where that may divide it: in a control group namespace and
/// a user namespace of its own, through a mount that can be written.
fn delegate(group: &Cgroup, spec: &Spec, linux: &Linux) -> Result<(), LifecycleError> {
    let own = |kind| linux.namespaces.iter().any(|ns| ns.kind == kind && ns.path().is_none());
    let read_only = |option: &String| option == "ro" || option == "rro";
    let writable = |mount: &crate::spec::Mount| {
        mount.kind.as_deref().is_some_and(|kind| kind.starts_with("cgroup"))
            && !mount.options.iter().any(read_only)
    };
    if !own(NamespaceKind::User) || !own(NamespaceKind::Cgroup) || !spec.mounts.iter().any(writable)
    {
        return Ok(());
    }
    let root = linux.uid_mappings.iter().find(|map| map.container_id == 0 && map.size > 0);
    Ok(root.map_or(Ok(()), |map| group.give_to(map.host_id))?)
}

impl Record {
    /// The container's group.
    pub(super) fn group(&self) -> Result<Cgroup, LifecycleError> {
        let record = self.cgroup.as_ref().ok_or(ContainerError::NoCgroup)?;
        record.open()
    }

    /// Whether its processes are stopped by their group.
    pub(super) fn is_frozen(&self) -> bool {
        self.cgroup.as_ref().is_some_and(|group| group.hierarchy().is_frozen(&group.name))
    }
}

impl CgroupRecord {
    pub(super) fn of(group: &Cgroup) -> Self {
        let (version, base) = match group.hierarchy() {
            Hierarchy::V1(base) => (1, base),
            Hierarchy::V2(base) => (2, base),
        };
        Self { version, base: base.clone(), name: group.name().into() }
    }

    fn hierarchy(&self) -> Hierarchy {
        let base = self.base.clone();
        if self.version == 1 { Hierarchy::V1(base) } else { Hierarchy::V2(base) }
    }

    pub(super) fn open(&self) -> Result<Cgroup, LifecycleError> {
        Ok(Cgroup::existing(self.hierarchy(), &self.name)?)
    }
}
