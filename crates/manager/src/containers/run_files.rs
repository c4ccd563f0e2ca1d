//! What a run writes down for other commands to find, gone with a restart of the system.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use creel_base::atomic::Durability;
use creel_base::path::{Action, Dir, IfExists, PathError};

use super::catalog::{Catalog, Container, EXIT, OWN_FILE, Owned, PRIVATE, read, write};
use super::error::ContainerError;
use super::record::{Exit, Process};

const STARTING: &str = "starting.json";
const PROCESS: &str = "process.json";
/// The control group that the container's own was made below, if it was a delegated one.
const DELEGATED: &str = "cgroup.json";

impl Catalog {
    /// Tells whether a container has run-time files: of a run that was begun and not ended.
    pub(super) fn has_run(&self, owned: &Owned) -> Result<bool, ContainerError> {
        Ok(self.run.exists(owned.record().id.to_string())?)
    }

    /// What was written down of a container's process.
    pub(super) fn process(&self, container: &Container) -> Result<Option<Process>, ContainerError> {
        let Some(dir) = self.files(container)? else { return Ok(None) };
        match read(&dir, PROCESS)? {
            None => starting(&dir),
            started => Ok(started),
        }
    }

    /// What was written down of where a container's group is; see [`Owned::grouped`].
    pub(super) fn group(&self, container: &Container) -> Result<Option<PathBuf>, ContainerError> {
        let Some(dir) = self.files(container)? else { return Ok(None) };
        read(&dir, DELEGATED)
    }

    fn files(&self, container: &Container) -> Result<Option<Dir>, ContainerError> {
        match self.run.open_dir(container.record.id.to_string()) {
            Err(error) if error.is_not_found() => Ok(None),
            opened => Ok(Some(opened?)),
        }
    }

    /// Makes the directory for what a run needs, empty.
    pub(super) fn run_dir(&self, owned: &Owned) -> Result<Dir, ContainerError> {
        let id = owned.container.record.id.to_string();
        Ok(self.run.mkdir_open(id, PRIVATE)?)
    }

    /// Removes what only a run needed, where its process was never started.
    pub(super) fn forget_run(&self, owned: &Owned) -> Result<(), ContainerError> {
        Ok(self.run.remove_all(owned.record().id.to_string())?)
    }

    /// Ends a run: writes down how, and removes what only the run needed.
    pub(super) fn end(&self, owned: &Owned, exit: &Exit) -> Result<(), ContainerError> {
        write(&owned.container.dir, EXIT, exit, Durability::Process)?;
        Ok(self.run.remove_all(owned.record().id.to_string())?)
    }
}

impl Owned {
    /// Writes down the process that is about to begin. That takes no care to be whole or not at all:
    /// it is read only if this process is killed, and the other one does not begin before it is whole.
    pub(super) fn starting(&self, run: &Dir, process: &Process) -> Result<(), ContainerError> {
        let file = STARTING;
        let bytes = serde_json::to_vec(process)
            .map_err(|source| ContainerError::Encode { file, source })?;
        let written = run.create_new(file, OWN_FILE)?.write_all(&bytes);
        let failed = |source| PathError::new(Action::Write, run.path().join(file), source);
        Ok(written.map_err(failed)?)
    }

    /// Tells that the process has executed its program.
    pub(super) fn started(&self, run: &Dir) -> Result<(), ContainerError> {
        Ok(run.rename(Path::new(STARTING), Path::new(PROCESS), IfExists::Replace)?)
    }

    /// Forgets a process that did not come to execute its program.
    pub(super) fn not_started(&self, run: &Dir) -> Result<(), ContainerError> {
        match run.unlink(STARTING) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Writes down which delegated control group the container's own is made below.
    pub(super) fn grouped(&self, run: &Dir, parent: &Path) -> Result<(), ContainerError> {
        write(run, DELEGATED, &parent, Durability::Process)
    }
}

fn starting(run: &Dir) -> Result<Option<Process>, ContainerError> {
    match read::<Process>(run, STARTING) {
        Ok(process) => Ok(process.map(|process| Process { starting: true, ..process })),
        // Whoever did not write all of it did not let the process go either.
        Err(ContainerError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
