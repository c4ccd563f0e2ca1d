//! Control groups from a specification's `linux.resources`.

mod devices;
mod io;
mod settings;
pub(crate) mod systemd;
mod v1;
mod v2;

use creel_base::hint::Hint;
use creel_spawn::cgroup::{Cgroup, CgroupError, Controllers, Hierarchy, Setting, SettingError};
use creel_spawn::systemd::SystemdError;

use crate::lower::{LowerError, value};
use crate::spec::Resources;
pub use devices::device_rules;

/// Why a container has no control group.
#[derive(Debug, thiserror::Error)]
pub enum ResourcesError {
    /// A property has a wrong value.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The group cannot be made.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The group does not take a value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Systemd does not make it.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
}

impl ResourcesError {
    /// Whether it is for want of a controller.
    #[must_use]
    pub fn lacks_controller(&self) -> bool {
        let (Self::Cgroup(error) | Self::Setting(SettingError { source: error, .. })) = self else {
            return false;
        };
        matches!(error, CgroupError::NoController { .. } | CgroupError::Occupied { .. })
    }
}

impl Hint for ResourcesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Lower(error) => error.hint(),
            Self::Cgroup(error) => error.hint(),
            Self::Setting(error) => error.hint(),
            Self::Systemd(error) => error.hint(),
        }
    }
}

/// Makes a group with the limits and the device rules of a specification, in the controllers that
/// limit and freeze and those that a limit needs; nothing remains of it after an error.
///
/// # Errors
/// Names the property that is wrong, or says what the kernel refuses.
pub fn create(
    hierarchy: Hierarchy,
    name: &str,
    resources: &Resources,
) -> Result<Cgroup, ResourcesError> {
    let settings = settings(&hierarchy, resources)?;
    let needed = settings.iter().map(|setting| setting.controller).collect();
    make(hierarchy, name, &Controllers::UsualAnd(needed), &settings, resources)
}

/// As [`create`], in all controllers that there are: for a name that was given by a caller, who may
/// look for it in any of them.
///
/// # Errors
/// As [`create`].
pub fn create_named(
    hierarchy: Hierarchy,
    name: &str,
    resources: &Resources,
) -> Result<Cgroup, ResourcesError> {
    let settings = settings(&hierarchy, resources)?;
    make(hierarchy, name, &Controllers::All, &settings, resources)
}

fn make(
    hierarchy: Hierarchy,
    name: &str,
    controllers: &Controllers,
    settings: &[Setting],
    resources: &Resources,
) -> Result<Cgroup, ResourcesError> {
    // Checked before anything is made.
    device_rules(&resources.devices)?;
    let group = Cgroup::create(hierarchy, name, controllers)?;
    if let Err(error) = fill(&group, settings, resources) {
        // The first error says more.
        let _ = group.remove();
        return Err(error);
    }
    Ok(group)
}

/// Sets the limits and device rules of a group that is there.
fn fill(group: &Cgroup, settings: &[Setting], resources: &Resources) -> Result<(), ResourcesError> {
    group.set(settings)?;
    Ok(group.allow_devices(&device_rules(&resources.devices)?)?)
}

/// Changes the limits of a group; what is not said stays. Device rules do not count.
///
/// # Errors
/// Names the property that is wrong, or says what the kernel refuses.
pub fn update(group: &Cgroup, resources: &Resources) -> Result<(), ResourcesError> {
    let settings = settings(group.hierarchy(), resources)?;
    check_before_update(group, resources)?;
    group.set(&settings)?;
    match group.scope() {
        // What systemd does not know of it would undo.
        Some(scope) => Ok(scope.set(&systemd::properties(resources)?)?),
        None => Ok(()),
    }
}

/// `memory.checkBeforeUpdate`: the kernel would kill processes to get below a limit that is less than
/// what is in use.
fn check_before_update(group: &Cgroup, resources: &Resources) -> Result<(), LowerError> {
    let Some(memory) = resources.memory.filter(|memory| memory.check_before_update == Some(true))
    else {
        return Ok(());
    };
    let file = match group.hierarchy() {
        Hierarchy::V1(_) => "memory.usage_in_bytes",
        Hierarchy::V2(_) => "memory.current",
    };
    let usage = group.read("memory", file).and_then(|text| text.trim().parse::<i64>().ok());
    for (field, limit) in [("limit", memory.limit), ("swap", memory.swap)] {
        let limit = limit.filter(|limit| *limit > 0);
        if limit.is_some_and(|limit| usage.is_some_and(|usage| usage >= limit)) {
            let field = format!("linux.resources.memory.{field}");
            return Err(value(field, limit.unwrap_or_default(), "more than is in use"));
        }
    }
    Ok(())
}

fn settings(hierarchy: &Hierarchy, resources: &Resources) -> Result<Vec<Setting>, LowerError> {
    match hierarchy {
        Hierarchy::V1(_) => v1::settings(resources),
        Hierarchy::V2(_) => v2::settings(resources),
    }
}

#[cfg(test)]
mod tests;
