//! Whom the filter of a container asks, and what is told of the container.

use std::path::Path;

use super::directory::Directory;
use crate::seccomp::Supervisor;
use crate::spec::{self, Spec, State, VERSION};

/// The supervisor that the specification names, if it does, and the state for it: without a process,
/// the container is being made.
pub(super) fn supervision(
    directory: &Directory<'_>,
    bundle: &Path,
    spec: &Spec,
    process: Option<(i32, spec::Status)>,
) -> Option<(Supervisor, State)> {
    let supervisor = Supervisor::of(spec.linux.as_ref()?.seccomp.as_ref()?)?;
    let state = State {
        oci_version: VERSION.into(),
        id: directory.id.to_string(),
        status: process.map_or(spec::Status::Creating, |(_, status)| status),
        pid: process.map(|(pid, _)| pid),
        bundle: bundle.into(),
        annotations: spec.annotations.clone(),
    };
    Some((supervisor, state))
}
