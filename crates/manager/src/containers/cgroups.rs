//! The control group of a container.

use std::path::PathBuf;

use creel_runtime::cgroup as runtime;
use creel_spawn::cgroup::{Cgroup, Hierarchy};

use super::record::Record;
use super::run_error::RunError;

/// What all groups of containers are below.
const PARENT: &str = "creel";

/// Finds where the group can be made. `None` where this machine or user has no place and no limit
/// was asked for.
///
/// # Errors
/// [`RunError::Cgroup`] where one was.
pub(super) fn place(record: &Record) -> Result<Option<Hierarchy>, RunError> {
    match Hierarchy::detect() {
        Err(error) if record.policy.limited => Err(error.into()),
        found => Ok(found.ok()),
    }
}

/// Makes the group and sets its limits. The one that every container has is left out where there is
/// no controller for it and no limit was asked for.
///
/// # Errors
/// [`RunError::Resources`].
pub(super) fn make(record: &Record, place: Hierarchy) -> Result<Cgroup, RunError> {
    let linux = record.spec.linux.as_ref();
    let mut resources = linux.and_then(|linux| linux.resources.clone()).unwrap_or_default();
    match runtime::create(place.clone(), &name(record), &resources) {
        Err(error) if error.lacks_controller() && !record.policy.limited => {
            resources.pids = None;
            Ok(runtime::create(place, &name(record), &resources)?)
        }
        made => Ok(made?),
    }
}

/// Returns the group of a container, if it has one. `delegated` is what was written down of where it
/// was made.
pub(super) fn existing(record: &Record, delegated: Option<PathBuf>) -> Option<Cgroup> {
    let place = delegated.map(Hierarchy::V2).or_else(|| Hierarchy::detect().ok())?;
    Cgroup::existing(place, &name(record)).ok()
}

fn name(record: &Record) -> String {
    format!("{PARENT}/{}", record.id)
}
