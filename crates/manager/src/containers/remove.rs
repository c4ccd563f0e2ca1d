//! Removing containers, and what those that were killed have left.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::catalog::{Catalog, Container, Owned};
use super::cgroups;
use super::ending;
use super::error::ContainerError;
use super::holder;
use super::left::Left;
use super::record::{Exit, State};
use super::run_error::RunError;
use crate::Engine;

/// How long a killed container may take to be put away by whoever runs it.
const PATIENCE: Duration = Duration::from_secs(10);

/// 128 plus SIGKILL.
const KILLED: i32 = 137;

/// How far a removal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Only what does not run.
    Stopped,
    /// What runs is killed, and what is damaged goes.
    Forced,
}

/// What was put away of killed runs.
#[derive(Debug, Default)]
pub struct Swept {
    /// The names of the containers.
    pub names: Vec<String>,
    /// Why others were not: that keeps nobody from anything else, and the next command tries again.
    pub failed: Vec<RunError>,
}

impl Engine {
    /// Removes a container by its name or id, with all it has changed. Returns its name.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn remove_container(&self, text: &str, how: Removal) -> Result<String, RunError> {
        let missing = || ContainerError::NotFound { text: text.to_owned() };
        let catalog = self.existing_containers()?.ok_or_else(missing)?;
        let container = match catalog.find(text) {
            Err(ContainerError::Damaged { .. }) if how == Removal::Forced => {
                return Ok(catalog.remove_damaged(text)?);
            }
            found => found?,
        };
        let name = container.record.name.clone();
        if how == Removal::Forced {
            kill(&catalog, &container)?;
            match own_in_time(&catalog, &container)? {
                Some(owned) => self.put_away(&catalog, owned)?,
                // Whoever ran it has removed it.
                None => return Ok(name),
            }
        } else {
            let owned = catalog.own(container)?;
            self.put_away(&catalog, owned)?;
        }
        Ok(name)
    }

    /// Takes a container that does not run. What a killed run has left of it is put away first: no
    /// process of it is in the way then, and none changes its files.
    ///
    /// # Errors
    /// [`ContainerError::Running`] if it runs, and [`RunError`] if its process cannot be ended.
    pub(super) fn own_at_rest(
        &self,
        catalog: &Catalog,
        container: Container,
    ) -> Result<Owned, RunError> {
        let owned = catalog.own(container)?;
        if catalog.has_run(&owned)? {
            end_run(catalog, &owned)?;
        }
        Ok(owned)
    }

    /// Removes a container's group and files. A process that a killed run has left is ended before.
    fn put_away(&self, catalog: &Catalog, owned: Owned) -> Result<(), RunError> {
        ending::end(catalog, &owned.container)?;
        if let Some(cgroup) = cgroups::existing(owned.record(), catalog.group(&owned.container)?) {
            cgroup.remove()?;
        }
        Ok(catalog.remove(owned)?)
    }

    /// Puts away what runs of which the process was killed have left: a container's process is
    /// ended, and the container goes if it was to go with it; half-made ones go.
    ///
    /// # Errors
    /// [`RunError`] where nothing can be put away.
    pub fn sweep_containers(&self) -> Result<Swept, RunError> {
        let catalog = self.containers()?;
        let mut swept = Swept::default();
        if catalog.left()?.is_empty() {
            return Ok(swept);
        }
        let _lock = catalog.lock_sweep()?;
        for left in catalog.left()? {
            if let Err(error) = self.sweep_one(&catalog, left, &mut swept) {
                swept.failed.push(error);
            }
        }
        Ok(swept)
    }

    fn sweep_one(&self, catalog: &Catalog, left: Left, swept: &mut Swept) -> Result<(), RunError> {
        match left {
            Left::Everything => {
                let removed = catalog.sweep_now()?;
                swept.failed.extend(removed.failed.into_iter().map(RunError::from));
            }
            Left::Half(id) => {
                if catalog.sweep_half(&id)? {
                    catalog.sweep_names()?;
                }
            }
            Left::Whole(container) => swept.names.extend(self.sweep_whole(catalog, *container)?),
        }
        Ok(())
    }

    /// Puts away one container. Returns its name, unless somebody else sees to it, or has.
    fn sweep_whole(
        &self,
        catalog: &Catalog,
        container: Container,
    ) -> Result<Option<String>, RunError> {
        let name = container.record.name.clone();
        match catalog.own(container) {
            Ok(owned) => self.put_away_crashed(catalog, owned)?,
            Err(ContainerError::Running { .. } | ContainerError::NotFound { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Some(name))
    }

    fn put_away_crashed(&self, catalog: &Catalog, owned: Owned) -> Result<(), RunError> {
        if owned.record().policy.remove {
            return self.put_away(catalog, owned);
        }
        end_run(catalog, &owned)
    }
}

/// Ends what a killed run has left of a container that stays.
fn end_run(catalog: &Catalog, owned: &Owned) -> Result<(), RunError> {
    let process = catalog.process(&owned.container)?;
    ending::end(catalog, &owned.container)?;
    if let Some(cgroup) = cgroups::existing(owned.record(), catalog.group(&owned.container)?) {
        cgroup.remove()?;
    }
    let Some(process) = process else { return Ok(catalog.forget_run(owned)?) };
    let exit = Exit { code: KILLED, started: process.started, ended: Timestamp::now() };
    Ok(catalog.end(owned, &exit)?)
}

/// Kills a container if it runs.
fn kill(catalog: &Catalog, container: &Container) -> Result<(), RunError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match catalog.state(container)? {
            // It is just being started, or put away.
            State::Busy if Instant::now() < deadline => {
                holder::wake(container);
                std::thread::sleep(Duration::from_millis(5));
            }
            State::Busy => return Err(holder::held(container).into()),
            _ => return ending::kill(catalog, container),
        }
    }
}

/// Takes the lock once whoever ran the container has let it go; `None` where the container has gone
/// with it.
fn own_in_time(catalog: &Catalog, container: &Container) -> Result<Option<Owned>, RunError> {
    let id = container.record.id.to_string();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = match catalog.find(&id) {
            Err(ContainerError::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        match catalog.own(found) {
            Err(ContainerError::Running { .. }) if Instant::now() < deadline => {
                holder::wake(container);
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(ContainerError::Running { .. }) => return Err(holder::held(container).into()),
            owned => return Ok(Some(owned?)),
        }
    }
}
