//! The control group of a container.

use std::path::PathBuf;
use std::sync::Arc;

use creel_spawn::cgroup::{Cgroup, CgroupError, Hierarchy};
use creel_spawn::systemd::Scope;
use creel_spawn::userns::is_machines_root;
use rustix::process::geteuid;

use super::directory::Directory;
use super::error::LifecycleError;
use super::record::{CgroupRecord, Record, SystemdRecord};
use crate::cgroup::systemd::{self, Unit};
use crate::cgroup::{self, ResourcesError};
use crate::container::ContainerError;
use crate::lower::value;
use crate::spec::{Linux, NamespaceKind, Resources, Spec};

/// Who makes control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// This program, in the file system of control groups.
    #[default]
    Files,
    /// Systemd. Needs version 2.
    Systemd(Managers),
    /// Nobody: containers have none.
    Nobody,
}

/// The sockets by which systemd can be asked: those of a bus, or of the manager, which are called
/// `private`. The first that answers is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers {
    /// Of the system, for root.
    pub system: Vec<PathBuf>,
    /// Of the user's session, for all others.
    pub user: Vec<PathBuf>,
}

impl Managers {
    /// Those for this process, and the slice that its containers are in where none is named. Who is root
    /// in a namespace only may be so as a user, or in a container that has a systemd of its own.
    fn choose(&self, rootless: Option<bool>) -> (Vec<PathBuf>, &'static str) {
        if !rootless.unwrap_or_else(|| !is_machines_root()) {
            return (self.system.clone(), "system.slice");
        }
        let system = self.system.iter().filter(|_| geteuid().is_root());
        (self.user.iter().chain(system).cloned().collect(), "user.slice")
    }
}

/// Makes the control group, that of `linux.cgroupsPath` or one of the container's name, and what is to
/// be in it. There is none where there is no place for one and neither a limit nor a path was asked
/// for, as for a user without a delegated group; devices cannot be had there in any case. Who says that
/// this is not `rootless` insists on one.
///
/// # Errors
/// What `make` says, or why there is no group; no group remains then.
pub(super) fn within<T>(
    directory: &Directory<'_>,
    spec: &Spec,
    (groups, rootless): (&Groups, Option<bool>),
    make: impl FnOnce(Option<&Arc<Cgroup>>) -> Result<T, LifecycleError>,
) -> Result<T, LifecycleError> {
    let (empty, nothing) = (Linux::default(), Resources::default());
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let resources = linux.resources.as_ref().unwrap_or(&nothing);
    let path = linux.cgroups_path.as_deref().filter(|path| !path.is_empty());
    let id = directory.id.as_str();
    match groups {
        Groups::Nobody => make(None),
        Groups::Files => match place(path) {
            Err(_) if path.is_none() && !resources.limit_anything() && rootless != Some(false) => {
                make(None)
            }
            found => {
                let hierarchy = found.map_err(not_permitted)?;
                let name = path.map_or(id, |path| path.trim_matches('/'));
                // Whoever kills this process from now on leaves a group that can be found.
                directory.note(&CgroupRecord::named(&hierarchy, name))?;
                fill(by_files(hierarchy, id, path, resources)?, spec, make)
            }
        },
        Groups::Systemd(managers) => {
            if !Hierarchy::is_v2() {
                return Err(LifecycleError::SystemdNeedsV2);
            }
            let (sockets, slice) = managers.choose(rootless);
            let unit = Unit::of(path, id, slice)?;
            let scope = Scope::new(&sockets, &unit.name).map_err(ResourcesError::from)?;
            // As above: a scope whose process has ended before it began lasts without any.
            directory.note(&CgroupRecord::of_scope(&scope))?;
            let asked = (id, resources, &spec.annotations);
            systemd::within(&scope, &unit.slice, asked, |group| fill(group, spec, make))?
        }
    }
}

/// Fills a group; it is removed again where that fails, as why says more than whether that works.
fn fill<T>(
    group: Cgroup,
    spec: &Spec,
    make: impl FnOnce(Option<&Arc<Cgroup>>) -> Result<T, LifecycleError>,
) -> Result<T, LifecycleError> {
    let group = Arc::new(group);
    let made = delegate(&group, spec).and_then(|()| make(Some(&group)));
    if made.is_err() {
        let _ = group.remove();
    }
    made
}

/// Where the group is made. A path begins at the mount; where that is another's, at what is the user's
/// own, as for engines that do not know where that is.
fn place(path: Option<&str>) -> Result<Hierarchy, CgroupError> {
    let absolute = path.filter(|path| path.starts_with('/'));
    absolute.and_then(Hierarchy::v2_with).map_or_else(Hierarchy::detect, Ok)
}

fn not_permitted(error: CgroupError) -> LifecycleError {
    match error {
        CgroupError::RootOnly | CgroupError::NotDelegated { .. } => LifecycleError::NoGroup(error),
        error => error.into(),
    }
}

fn by_files(
    hierarchy: Hierarchy,
    id: &str,
    path: Option<&str>,
    resources: &Resources,
) -> Result<Cgroup, LifecycleError> {
    let Some(path) = path else { return Ok(cgroup::create(hierarchy, id, resources)?) };
    let made = cgroup::create_named(hierarchy, path.trim_matches('/'), resources);
    made.map_err(|error| named(error, path))
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
fn delegate(group: &Cgroup, spec: &Spec) -> Result<(), LifecycleError> {
    let Some(linux) = &spec.linux else { return Ok(()) };
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
        let systemd = group.scope().cloned().map(SystemdRecord::from);
        Self { systemd, ..Self::named(group.hierarchy(), group.name()) }
    }

    /// That of a scope that has none yet.
    fn of_scope(scope: &Scope) -> Self {
        Self { systemd: Some(scope.clone().into()), ..Self::named(&Hierarchy::v2(), "") }
    }

    /// Removes what was noted, if nothing is in it.
    pub(super) fn remove_unused(&self) -> Result<(), LifecycleError> {
        match self.systemd.clone() {
            Some(scope) => Ok(Cgroup::stop_unused(&scope.into())?),
            None => {
                // What has no plain name was refused.
                if let Ok(group) = self.open() {
                    group.remove_unused();
                }
                Ok(())
            }
        }
    }

    fn named(hierarchy: &Hierarchy, name: &str) -> Self {
        let (version, base) = match hierarchy {
            Hierarchy::V1(base) => (1, base),
            Hierarchy::V2(base) => (2, base),
        };
        Self { version, base: base.clone(), name: name.into(), systemd: None }
    }

    fn hierarchy(&self) -> Hierarchy {
        let base = self.base.clone();
        if self.version == 1 { Hierarchy::V1(base) } else { Hierarchy::V2(base) }
    }

    pub(super) fn open(&self) -> Result<Cgroup, LifecycleError> {
        let group = Cgroup::existing(self.hierarchy(), &self.name)?;
        Ok(group.of_scope(self.systemd.clone().map(Scope::from)))
    }
}

impl From<Scope> for SystemdRecord {
    fn from(Scope { unit, socket }: Scope) -> Self {
        Self { unit, socket }
    }
}

impl From<SystemdRecord> for Scope {
    fn from(SystemdRecord { unit, socket }: SystemdRecord) -> Self {
        Self { unit, socket }
    }
}
