//! What killed commands have left of containers.
//!
//! Every container that is being made, run or removed has a directory of run-time files, made first and
//! removed last: so these few are looked through, and not thousands of containers that have stopped.
//! After a restart of the system they are gone, so then all are looked through, once.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use creel_base::id::Id;
use creel_base::lock::{self, Holder, Kind, Lock, Wait};
use rustix::fs::Mode;

use super::catalog::{Catalog, Container, LOCK, NAMES, PRIVATE, RECORD, ids_in};
use super::error::ContainerError;

/// The file that says that all were looked through.
const SWEPT: &str = "swept";
/// How long a command may take from making a container's directory to having locked it, which is two
/// system calls. What has no lock for longer belongs to nobody.
const BEGINNING: Duration = Duration::from_secs(2);

/// Something that was left.
#[derive(Debug)]
pub(super) enum Left {
    /// A container whose run was begun by a process that has gone without ending it.
    Whole(Box<Container>),
    /// A directory of this name, of a container that was being made or removed.
    Half(String),
    /// Nobody has looked since the system started.
    Everything,
}

/// What was removed of half-made containers.
#[derive(Debug, Default)]
pub struct Removed {
    /// How many directories and names.
    pub count: u64,
    /// Why others were not.
    pub failed: Vec<ContainerError>,
}

/// Who has a directory without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    /// Somebody is filling or emptying it.
    Used,
    /// Somebody may be about to lock it.
    Young,
    /// Nobody.
    Dead,
}

impl Catalog {
    /// Finds what was left, among the containers that have run-time files.
    pub(super) fn left(&self) -> Result<Vec<Left>, ContainerError> {
        let mut found = Vec::new();
        let mut swept = false;
        for entry in self.run.entries()? {
            let name = entry?.name;
            swept |= name == SWEPT;
            let Some(id) = name.to_str().filter(|name| name.parse::<Id>().is_ok()) else {
                continue;
            };
            match self.load(id) {
                // What cannot be looked at is found out by whoever puts it away.
                Ok(Some(container)) => {
                    if matches!(lock::holder(&container.dir, LOCK), Ok(Holder::None) | Err(_)) {
                        found.push(Left::Whole(Box::new(container)));
                    }
                }
                Ok(None) => {
                    if matches!(self.half(id), Ok(Half::Dead) | Err(_)) {
                        found.push(Left::Half(id.to_owned()));
                    }
                }
                // What cannot be read is for a person to decide about.
                Err(_) => {}
            }
        }
        if !swept {
            found.push(Left::Everything);
        }
        Ok(found)
    }

    /// Tells who has a directory without a record. The pid in a lock says that it was held once, so
    /// that whoever made it is beyond making it.
    fn half(&self, id: &str) -> Result<Half, ContainerError> {
        let made = match self.dir.open_dir(id) {
            Ok(dir) => match dir.stat(LOCK) {
                Ok(_) if lock::holder(&dir, LOCK)? != Holder::None => return Ok(Half::Used),
                Ok(found) if found.st_size > 0 => return Ok(Half::Dead),
                _ => dir.stat_self(),
            },
            Err(_) => self.run.stat(id),
        };
        match made {
            Ok(made) => Ok(if is_young(made.st_mtime) { Half::Young } else { Half::Dead }),
            // It has gone in the meantime.
            Err(error) if error.is_not_found() => Ok(Half::Used),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes half-made and half-removed containers, and names that lead nowhere. Waits for a moment
    /// where something may yet become a container.
    ///
    /// # Errors
    /// [`ContainerError::Path`] where not even their names can be read.
    pub fn sweep(&self) -> Result<Removed, ContainerError> {
        for id in self.halves()? {
            if matches!(self.half(&id), Ok(Half::Young)) {
                std::thread::sleep(BEGINNING + Duration::from_secs(1));
                break;
            }
        }
        self.sweep_now()
    }

    /// Does what [`Catalog::sweep`] does without waiting, and writes down that it was done.
    /// What stays is told once, and found again by [`Catalog::sweep`].
    pub(super) fn sweep_now(&self) -> Result<Removed, ContainerError> {
        let mut removed = Removed::default();
        for id in self.halves()? {
            match self.sweep_half(&id) {
                Ok(done) => removed.count += u64::from(done),
                // What keeps one from going does not keep the others.
                Err(error) => removed.failed.push(error),
            }
        }
        removed.count += self.sweep_names()?;
        match self.run.create_new(SWEPT, Mode::RUSR | Mode::WUSR) {
            Err(error) if !error.is_already_exists() => Err(error.into()),
            _ => Ok(removed),
        }
    }

    /// The directories without a record. What cannot be read is for a person to decide about.
    fn halves(&self) -> Result<BTreeSet<String>, ContainerError> {
        let mut ids: BTreeSet<String> = self.ids()?.into_iter().collect();
        ids.extend(ids_in(&self.run)?);
        ids.retain(|id| matches!(self.load(id), Ok(None)));
        Ok(ids)
    }

    /// Removes names that lead nowhere. Returns how many.
    pub(super) fn sweep_names(&self) -> Result<u64, ContainerError> {
        let mut removed = 0;
        for entry in self.dir.mkdir_open(NAMES, PRIVATE)?.entries()? {
            let name = entry?.name;
            let stale = name.to_str().is_some_and(|name| self.is_stale(name).unwrap_or(false));
            removed += u64::from(stale);
        }
        Ok(removed)
    }

    /// Removes a directory without a record, unless somebody has it.
    pub(super) fn sweep_half(&self, id: &str) -> Result<bool, ContainerError> {
        if self.half(id)? != Half::Dead {
            return Ok(false);
        }
        let Ok(dir) = self.dir.open_dir(id) else {
            self.run.remove_all(id)?;
            return Ok(true);
        };
        let Ok(_lock) = Lock::take(&dir, LOCK, Kind::Exclusive, Wait::No) else { return Ok(false) };
        if dir.exists(RECORD)? {
            return Ok(false);
        }
        self.clear(id)?;
        Ok(true)
    }
}

/// A time in the future is no sign of youth: the clock was set.
fn is_young(made: i64) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let made = Duration::from_secs(u64::try_from(made).unwrap_or(0));
    now.checked_sub(made).is_some_and(|age| age <= BEGINNING)
}
