//! What is done by a container's control group: pausing, resuming, listing, changing limits.

use super::Runtime;
use super::directory::Directory;
use super::error::LifecycleError;
use super::id::ContainerId;
use super::state::Status;
use crate::cgroup;
use crate::spec::Resources;

impl Runtime {
    /// Stops all processes of a container.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`] if it is stopped or paused; or what the control group refuses, and
    /// the processes go on then.
    pub fn pause(&self, id: &ContainerId) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            Status::Created | Status::Running => Ok(record.group()?.freeze(true)?),
            status => {
                Err(LifecycleError::NotRunning { action: "pause", id: id.to_string(), status })
            }
        }
    }

    /// Lets the processes of a paused container go on.
    ///
    /// # Errors
    /// [`LifecycleError::NotPaused`]; or what the control group refuses.
    pub fn resume(&self, id: &ContainerId) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            Status::Paused => Ok(record.group()?.freeze(false)?),
            status => Err(LifecycleError::NotPaused { id: id.to_string(), status }),
        }
    }

    /// The processes of a container, by id in the caller's namespace; of one that is stopped, those that
    /// are left, if any.
    ///
    /// # Errors
    /// [`LifecycleError::Container`] without a control group; or what makes the list unreadable.
    pub fn processes(&self, id: &ContainerId) -> Result<Vec<i32>, LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        let running = Status::of(&directory, &record)? != Status::Stopped;
        match record.group()?.all_processes() {
            Ok(processes) => Ok(processes),
            Err(_) if !running => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes limits of a container; what is not said stays as it is. Device rules do not count.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`]; or names the property that is wrong or what the kernel refuses.
    /// Limits before that one are changed then.
    pub fn update(&self, id: &ContainerId, changes: &Resources) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let mut record = directory.record()?;
        let status = Status::of(&directory, &record)?;
        if status == Status::Stopped {
            let id = id.to_string();
            return Err(LifecycleError::NotRunning { action: "update", id, status });
        }
        let mut spec = record.spec()?;
        let linux = spec.linux.get_or_insert_default();
        let resources = linux.resources.get_or_insert_default();
        resources.change(changes);
        let resources = resources.clone();
        cgroup::update(&record.group()?, &resources)?;
        record.set_spec(&spec)?;
        directory.write(&record)
    }
}
