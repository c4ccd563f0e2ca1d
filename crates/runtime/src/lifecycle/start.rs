//! Starting and signalling.

use std::os::fd::AsFd;
use std::sync::Arc;

use creel_spawn::{Namespace, Rest, SpawnError};

use super::Runtime;
use super::directory::Directory;
use super::error::LifecycleError;
use super::id::ContainerId;
use super::record::Record;
use super::state::Status;
use super::supervision::supervision;
use crate::container::{Container, ContainerError, supervised};
use crate::lower;
use crate::spec::{self, Linux};

impl Runtime {
    /// Starts the program of a container that was created, and returns once it is executed.
    ///
    /// # Errors
    /// [`LifecycleError::NotCreated`]; or the step that failed, after which the container is stopped.
    pub fn start(&self, id: &ContainerId) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            Status::Created => {}
            status => return Err(LifecycleError::NotCreated { id: id.to_string(), status }),
        }
        let connection = directory.connect()?;
        directory.set_started()?;
        let released = release(&directory, &record, connection);
        if matches!(
            released,
            Err(ContainerError::Supervisor(_) | ContainerError::Spawn(SpawnError::Listener(_)))
        ) {
            // It waits for answers that may never come. Why says more than whether it can be killed.
            let _ = open(&record).map(|container| container.signal(9));
        }
        match released {
            Err(ContainerError::Spawn(error)) => Err(error.into()),
            released => Ok(released?),
        }
    }

    /// Sends a signal to a container's first process.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`] if it is stopped.
    pub fn signal(&self, id: &ContainerId, signal: i32) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            Status::Created | Status::Running => Ok(open(&record)?.signal(signal)?),
            status => {
                Err(LifecycleError::NotRunning { action: "signal", id: id.to_string(), status })
            }
        }
    }
}

/// Lets the first process go, until it executes its program.
fn release(
    directory: &Directory<'_>,
    record: &Record,
    connection: impl AsFd,
) -> Result<(), ContainerError> {
    let (rest, pid) = (Rest::from(record.rest.clone()), record.process.pid);
    let process = Some((pid, spec::Status::Created));
    let supervisor = supervision(directory, &record.bundle, &record.spec, process);
    let supervisor = supervisor.as_ref().map(|(supervisor, state)| (supervisor, state));
    supervised(supervisor, |listen| rest.release(connection, pid, listen))
}

/// The container that a record is about.
pub(super) fn open(record: &Record) -> Result<Container, LifecycleError> {
    let empty = Linux::default();
    let linux = record.spec.linux.as_ref().unwrap_or(&empty);
    let namespaces: Vec<Namespace> = lower::namespaces(linux)?;
    let cgroup = Some(Arc::new(record.cgroup.open()?));
    let single = matches!(linux.gid_mappings.as_slice(), [map] if map.size == 1);
    let identity = record.process.identity();
    Ok(Container::open(identity, namespaces, single, cgroup)?)
}
