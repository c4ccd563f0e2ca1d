//! The control group of a container.

use creel_runtime::cgroup as runtime;
use creel_spawn::cgroup::{Cgroup, Hierarchy};

use super::record::Record;
use super::run_error::RunError;

/// What all groups of containers are below.
const PARENT: &str = "creel";

/// Makes the group and sets its limits. `None` where this machine or user has none to give and no
/// limit was asked for.
///
/// # Errors
/// [`RunError::Cgroup`] and [`RunError::Resources`] where one was.
pub(super) fn make(record: &Record) -> Result<Option<Cgroup>, RunError> {
    let made = Hierarchy::detect().map_err(RunError::from).and_then(|hierarchy| {
        let linux = record.spec.linux.as_ref();
        let resources = linux.and_then(|linux| linux.resources.clone()).unwrap_or_default();
        Ok(runtime::create(hierarchy, &name(record), &resources)?)
    });
    match made {
        Err(error) if record.policy.limited => Err(error),
        made => Ok(made.ok()),
    }
}

/// Returns the group of a container, if it has one.
pub(super) fn existing(record: &Record) -> Option<Cgroup> {
    Cgroup::existing(Hierarchy::detect().ok()?, &name(record)).ok()
}

fn name(record: &Record) -> String {
    format!("{PARENT}/{}", record.id)
}
