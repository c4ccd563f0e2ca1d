//! The containers of a store: one directory each, found by name or id.
//!
//! ```text
//! STORE/containers/
//!   sweep.lock             held by the process that puts away what crashed runs have left
//!   ids.lock               held by the process that chooses ids which no other container has
//!   names/NAME             symbolic link to the id of the container that has this name
//!   ID/container.json      what it was made of
//!   ID/lock                held by the process that runs or changes it, whose pid it says
//!   ID/exit.json           how its last run ended
//!   ID/init                a copy of this program, until the process has started
//!   ID/upper, ID/work      its changes, as overlayfs keeps them
//! RUN/containers/STORE/    of the store whose directory has this device and inode number
//!   swept                  says that all directories were looked through since the system started
//!   ID/                    what a run needs, gone with a restart of the system
//!   ID/starting.json       its process, until that has executed its program
//!   ID/process.json        its process from then on
//!   ID/hosts, ID/hostname, ID/resolv.conf
//! ```
//!
//! There is no list beside the directories, and nothing to repair it from. A directory without a
//! `container.json` is one that was being made or removed.

use core::cmp::Reverse;
use std::path::Path;

use creel_base::atomic::{self, Durability};
use creel_base::id::{self, Id};
use creel_base::lock::{self, Holder, Kind, Lock, LockError, Wait};
use creel_base::path::Dir;
use rustix::fs::Mode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ContainerError;
use super::host::HostRoot;
use super::record::{Exit, FORMAT, Process, Record, Root, State};
use crate::EngineError;

pub(super) const PRIVATE: Mode = Mode::RWXU;
const CONTAINERS: &str = "containers";
pub(super) const OWN_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
pub(super) const NAMES: &str = "names";
pub(super) const RECORD: &str = "container.json";
pub(super) const EXIT: &str = "exit.json";
pub(super) const LOCK: &str = "lock";
const SWEEP_LOCK: &str = "sweep.lock";
const IDS_LOCK: &str = "ids.lock";
/// Longest file of a container that is read, in bytes.
const LIMIT: u64 = 4 << 20;
/// How often a made-up name is replaced by another before it is given up.
const NAME_TRIES: usize = 64;

/// The containers of a store.
#[derive(Debug)]
pub struct Catalog {
    pub(super) dir: Dir,
    pub(super) run: Dir,
}

/// A container that exists.
#[derive(Debug)]
pub struct Container {
    /// What it was made of.
    pub record: Record,
    /// Its directory in the store.
    pub(super) dir: Dir,
}

/// A container whose lock is held: nobody else runs, changes or removes it.
#[derive(Debug)]
pub struct Owned {
    pub(super) container: Container,
    lock: Lock,
}

/// A container being made. Dropped before [`Draft::finish`], it leaves nothing.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    catalog: &'a Catalog,
    pub(super) id: Id,
    pub(super) name: String,
    /// Its directory and its lock, until it is finished.
    parts: Option<(Dir, Lock)>,
}

impl Catalog {
    /// Opens the containers of the store at `store`, with their run-time files below `run`.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub(super) fn open(store: &Path, run: &Dir) -> Result<Self, ContainerError> {
        Self::with(Dir::open_or_create(store.join(CONTAINERS), PRIVATE)?, run)
    }

    /// Does the same for a store that need not have any: nothing is made in it.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub(super) fn existing(
        store: &Path,
        run: impl FnOnce() -> Result<Dir, EngineError>,
    ) -> Result<Option<Self>, ContainerError> {
        match Dir::open(store.join(CONTAINERS)) {
            Err(error) if error.is_not_found() => Ok(None),
            opened => Self::with(opened?, &run()?).map(Some),
        }
    }

    fn with(dir: Dir, run: &Dir) -> Result<Self, ContainerError> {
        // Stores may share a run directory; none takes another's containers for its own.
        let stat = dir.stat_self()?;
        let key = format!("{:x}-{:x}", stat.st_dev, stat.st_ino);
        let run = run.mkdir_open("containers", PRIVATE)?.mkdir_open(key, PRIVATE)?;
        Ok(Self { dir, run })
    }

    /// Begins a container: takes its name and its lock. Nobody finds it before it is finished.
    ///
    /// # Errors
    /// [`ContainerError::NameTaken`].
    pub(super) fn begin(&self, name: Option<&str>) -> Result<Draft<'_>, ContainerError> {
        let id = Id::random()?;
        let directory = id.to_string();
        // By this the next command finds it if this process is killed from here on.
        self.run.mkdir(&directory, PRIVATE)?;
        self.dir.mkdir(&directory, PRIVATE)?;
        let begun = self.dir.open_dir(&directory).map_err(ContainerError::from).and_then(|dir| {
            let lock = Lock::take(&dir, LOCK, Kind::Exclusive, Wait::No)?;
            lock.record_pid()?;
            Ok((dir, lock, self.claim(name, &directory)?))
        });
        match begun {
            Ok((dir, lock, name)) => {
                Ok(Draft { catalog: self, id, name, parts: Some((dir, lock)) })
            }
            Err(error) => {
                // What stays behind has no record: the next sweep removes it.
                let _ = self.clear(&directory);
                Err(error)
            }
        }
    }

    /// Takes a name: the one given, or one that is free.
    fn claim(&self, given: Option<&str>, directory: &str) -> Result<String, ContainerError> {
        let names = self.dir.mkdir_open(NAMES, PRIVATE)?;
        let take = |name: &str| match names.symlink(directory, name) {
            Ok(()) => Ok(true),
            Err(error) if error.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        };
        if let Some(name) = given {
            let name = id::check_name(name)?.to_owned();
            // A name whose container has gone is free; only a crash leaves one.
            let taken = take(&name)? || self.is_stale(&name)? && take(&name)?;
            return if taken { Ok(name) } else { Err(ContainerError::NameTaken { name }) };
        }
        for _ in 0..NAME_TRIES {
            let name = id::random_name()?;
            if take(&name)? {
                return Ok(name);
            }
        }
        let short = directory.get(..id::SHORT).unwrap_or(directory).to_owned();
        if take(&short)? { Ok(short) } else { Err(ContainerError::NameTaken { name: short }) }
    }

    /// Tells whether a name leads to no container, and removes it then.
    pub(super) fn is_stale(&self, name: &str) -> Result<bool, ContainerError> {
        let link = Path::new(NAMES).join(name);
        let target = self.dir.readlink(&link)?;
        if self.dir.exists(&target)? {
            return Ok(false);
        }
        self.dir.unlink(&link)?;
        Ok(true)
    }

    fn release_name(&self, name: &str, directory: &str) {
        let link = Path::new(NAMES).join(name);
        if self.dir.readlink(&link).is_ok_and(|target| target == directory) {
            // A name that stays leads nowhere, and is free for whoever asks next.
            let _ = self.dir.unlink(&link);
        }
    }

    /// Finds a container by its name, its id, or the beginning of its id.
    ///
    /// # Errors
    /// [`ContainerError::NotFound`], [`ContainerError::Ambiguous`].
    pub fn find(&self, text: &str) -> Result<Container, ContainerError> {
        let missing = || ContainerError::NotFound { text: text.to_owned() };
        if id::check_name(text).is_err() {
            return Err(missing());
        }
        if let Ok(target) = self.dir.readlink(Path::new(NAMES).join(text))
            && let Some(found) = target.to_str().map(|id| self.load(id)).transpose()?.flatten()
        {
            return Ok(found);
        }
        let mut matching = self.ids()?;
        matching.retain(|id| id.starts_with(text));
        match matching.as_slice() {
            [] => Err(missing()),
            [id] => self.load(id)?.ok_or_else(missing),
            several => {
                Err(ContainerError::Ambiguous { text: text.to_owned(), ids: several.to_vec() })
            }
        }
    }

    /// Lists the containers, the newest first. One whose record cannot be read is in the second
    /// list, with the reason.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn list(&self) -> Result<(Vec<Container>, Vec<ContainerError>), ContainerError> {
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        for id in self.ids()? {
            match self.load(&id) {
                Ok(container) => found.extend(container),
                Err(error) => broken.push(error),
            }
        }
        found.sort_by_key(|container: &Container| Reverse(container.record.created));
        Ok((found, broken))
    }

    /// The names of all directories of containers, half-made ones too.
    pub(super) fn ids(&self) -> Result<Vec<String>, ContainerError> {
        ids_in(&self.dir)
    }

    /// Reads a container; `None` where there is none, or a half-made one.
    pub(super) fn load(&self, id: &str) -> Result<Option<Container>, ContainerError> {
        let dir = match self.dir.open_dir(id) {
            Err(error) if error.is_not_found() => return Ok(None),
            opened => opened?,
        };
        let Some(record) = read::<Record>(&dir, RECORD)? else { return Ok(None) };
        if record.format > FORMAT {
            let (id, found) = (id.to_owned(), record.format);
            return Err(ContainerError::Newer { id, found, known: FORMAT });
        }
        Ok(Some(Container { record, dir }))
    }

    /// Tells how a container stands.
    ///
    /// # Errors
    /// [`ContainerError::Lock`], [`ContainerError::Damaged`].
    pub fn state(&self, container: &Container) -> Result<State, ContainerError> {
        let held = lock::holder(&container.dir, LOCK)? != Holder::None;
        if let Some(process) = self.process(container)? {
            let alive = Some(process).filter(Process::is_alive);
            return Ok(match alive {
                Some(process) if held && !process.starting => State::Running(process),
                _ if held => State::Busy,
                alive => State::Lost(alive),
            });
        }
        if held {
            return Ok(State::Busy);
        }
        Ok(read::<Exit>(&container.dir, EXIT)?.map_or(State::Created, State::Exited))
    }

    /// Waits until nobody else puts away what crashed runs have left. Two that remove one container
    /// would be in each other's way.
    pub(super) fn lock_sweep(&self) -> Result<Lock, ContainerError> {
        Ok(Lock::take(&self.dir, SWEEP_LOCK, Kind::Exclusive, Wait::Forever)?)
    }

    /// Waits until nobody else chooses ids for a container.
    pub(super) fn lock_ids(&self) -> Result<Lock, ContainerError> {
        Ok(Lock::take(&self.dir, IDS_LOCK, Kind::Exclusive, Wait::Forever)?)
    }

    /// Removes a container whose record cannot be read, by its id or the beginning of it. Returns
    /// the id.
    ///
    /// # Errors
    /// [`ContainerError::Running`] if it is in use.
    pub(super) fn remove_damaged(&self, text: &str) -> Result<String, ContainerError> {
        let linked = self.dir.readlink(Path::new(NAMES).join(text)).ok();
        let linked = linked.and_then(|target| target.into_string().ok());
        let mut ids = self.ids()?;
        ids.retain(|id| linked.as_ref() == Some(id) || id.starts_with(text));
        let [id] = ids.as_slice() else {
            return Err(ContainerError::NotFound { text: text.to_owned() });
        };
        let dir = self.dir.open_dir(id)?;
        let _lock = Lock::take(&dir, LOCK, Kind::Exclusive, Wait::No)?;
        self.clear(id)?;
        Ok(id.clone())
    }

    /// Takes a container's lock.
    ///
    /// # Errors
    /// [`ContainerError::Running`] while another process has it, [`ContainerError::NotFound`] if it
    /// was removed in the meantime.
    pub fn own(&self, container: Container) -> Result<Owned, ContainerError> {
        match Lock::take(&container.dir, LOCK, Kind::Exclusive, Wait::No) {
            Ok(lock) => {
                lock.record_pid()?;
                Ok(Owned { container, lock })
            }
            Err(LockError::Held { .. }) => {
                Err(ContainerError::Running { name: container.record.name })
            }
            Err(LockError::Open { source, .. }) if source.is_not_found() => {
                Err(ContainerError::NotFound { text: container.record.name })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a container with all its files. What it changed is gone.
    ///
    /// # Errors
    /// [`ContainerError::Path`]; what is left then is removed by the next attempt.
    pub fn remove(&self, owned: Owned) -> Result<(), ContainerError> {
        let record = &owned.container.record;
        let id = record.id.to_string();
        self.release_name(&record.name, &id);
        // The record goes first: from then on nobody finds the container. Until then its run-time
        // files tell of it, should this process be killed.
        match owned.container.dir.unlink(RECORD) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        if matches!(record.root, Root::Host(_)) {
            HostRoot::take_apart(&owned.container.dir);
        }
        self.clear(&id)
    }

    /// Removes the files of a container. Its lock goes after all that may take long to remove, and the
    /// directory in which the next command looks for what killed ones have left goes last.
    pub(super) fn clear(&self, id: &str) -> Result<(), ContainerError> {
        if let Ok(dir) = self.dir.open_dir(id) {
            for entry in dir.entries()? {
                let name = entry?.name;
                if name != LOCK {
                    dir.remove_all(&name)?;
                }
            }
        }
        self.dir.remove_all(id)?;
        Ok(self.run.remove_all(id)?)
    }
}

impl Draft<'_> {
    /// The container's directory.
    pub(super) fn dir(&self) -> Result<&Dir, ContainerError> {
        match &self.parts {
            Some((dir, _)) => Ok(dir),
            None => Err(ContainerError::NotFound { text: self.name.clone() }),
        }
    }

    /// Writes the record, by which the container can be found from now on.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub(super) fn finish(mut self, record: Record) -> Result<Owned, ContainerError> {
        write(self.dir()?, RECORD, &record, Durability::Process)?;
        let missing = || ContainerError::NotFound { text: record.name.clone() };
        let (dir, lock) = self.parts.take().ok_or_else(missing)?;
        Ok(Owned { container: Container { record, dir }, lock })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.parts.is_some() {
            let directory = self.id.to_string();
            self.catalog.release_name(&self.name, &directory);
            // What stays behind has no record: the next sweep removes it.
            let _ = self.catalog.clear(&directory);
        }
    }
}

impl Owned {
    /// What the container was made of.
    pub const fn record(&self) -> &Record {
        &self.container.record
    }

    /// Lets the container go.
    ///
    /// # Errors
    /// [`ContainerError::Lock`].
    pub fn release(self) -> Result<Container, ContainerError> {
        self.lock.release()?;
        Ok(self.container)
    }
}

/// The names in a directory that are ids of containers.
pub(super) fn ids_in(dir: &Dir) -> Result<Vec<String>, ContainerError> {
    let mut ids = Vec::new();
    for entry in dir.entries()? {
        let name = entry?.name;
        ids.extend(name.to_str().filter(|name| name.parse::<Id>().is_ok()).map(str::to_owned));
    }
    Ok(ids)
}

pub(super) fn write(
    dir: &Dir,
    file: &'static str,
    value: &impl Serialize,
    durability: Durability,
) -> Result<(), ContainerError> {
    let bytes =
        serde_json::to_vec(value).map_err(|source| ContainerError::Encode { file, source })?;
    Ok(atomic::replace(dir, file, &bytes, OWN_FILE, durability)?)
}

pub(super) fn read<T: DeserializeOwned>(
    dir: &Dir,
    file: &str,
) -> Result<Option<T>, ContainerError> {
    let bytes = match dir.read(file, LIMIT) {
        Err(error) if error.is_not_found() => return Ok(None),
        read => read?,
    };
    let damaged = |source| ContainerError::Damaged { path: dir.path().join(file), source };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}
