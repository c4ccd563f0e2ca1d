//! Deleting.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Runtime;
use super::directory::Directory;
use super::error::LifecycleError;
use super::hooks::Hooks;
use super::id::ContainerId;
use super::record::Record;
use super::start::open;
use super::state::Status;
use crate::container::ContainerError;
use crate::spec::Spec;

/// How long a killed process has to be gone.
const GRACE: Duration = Duration::from_secs(10);

/// Which containers are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Stopped ones only.
    Stopped,
    /// Whatever there is; running ones are killed, and none is no failure.
    Forced,
}

impl Runtime {
    /// Deletes a container: its control group and all that is known about it. Returns the `poststop`
    /// hooks that failed, which is no failure of this.
    ///
    /// # Errors
    /// [`LifecycleError::NotStopped`], unless forced.
    pub fn delete(
        &self,
        id: &ContainerId,
        how: Deletion,
    ) -> Result<Vec<LifecycleError>, LifecycleError> {
        match (self.delete_existing(id, how), how) {
            (Err(LifecycleError::NoContainer { .. }), Deletion::Forced) => Ok(Vec::new()),
            (done, _) => done,
        }
    }

    fn delete_existing(
        &self,
        id: &ContainerId,
        how: Deletion,
    ) -> Result<Vec<LifecycleError>, LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = match directory.record() {
            Err(LifecycleError::Unfinished { .. }) if how == Deletion::Forced => {
                return remove_unfinished(directory).map(|()| Vec::new());
            }
            record => record?,
        };
        let spec = record.spec()?;
        match (Status::of(&directory, &record)?, how) {
            (Status::Stopped, _) => {}
            (_, Deletion::Forced) => end(&directory, &record, &spec)?,
            (status, Deletion::Stopped) => {
                return Err(LifecycleError::NotStopped { id: id.to_string(), status });
            }
        }
        if record.cgroup.is_some() {
            record.group()?.remove()?;
        }
        if let Some(resctrl) = record.resctrl() {
            resctrl.remove()?;
        }
        directory.remove()?;
        // What was checked when it was made.
        let hooks = Hooks::of(id, &record.bundle, &spec)?;
        Ok(hooks.map_or_else(Vec::new, |hooks| hooks.run_stopped()))
    }
}

/// Removes what a killed `create` has left. Its process ends with it, so a group that has processes is
/// another's, which it had not yet looked at.
fn remove_unfinished(directory: Directory<'_>) -> Result<(), LifecycleError> {
    directory.noted().map_or(Ok(()), |group| group.remove_unused())?;
    directory.remove()
}

/// Kills all processes and waits for the first one's end, which is that of all others of its process
/// namespace.
fn end(directory: &Directory<'_>, record: &Record, spec: &Spec) -> Result<(), LifecycleError> {
    match open(record, spec).and_then(|container| Ok(container.kill()?)) {
        Err(LifecycleError::Container(ContainerError::NotRunning)) => return Ok(()),
        killed => killed?,
    }
    if record.is_frozen() {
        // With version 1 a signal waits for the thaw.
        record.group()?.freeze(false)?;
    }
    let deadline = Instant::now() + GRACE;
    while Status::of(directory, record)? != Status::Stopped {
        if Instant::now() > deadline {
            return Err(LifecycleError::Lingers { id: directory.id.to_string() });
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}
