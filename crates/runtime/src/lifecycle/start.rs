//! Starting and signalling.

use std::sync::Arc;

use creel_spawn::{Namespace, Rest};

use super::Runtime;
use super::directory::Directory;
use super::error::LifecycleError;
use super::id::ContainerId;
use super::record::Record;
use super::state::Status;
use crate::container::Container;
use crate::lower;
use crate::spec::Linux;

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
        Ok(Rest::from(record.rest).release(connection)?)
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
