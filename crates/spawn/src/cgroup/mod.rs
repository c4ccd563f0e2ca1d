//! Control groups, version 1 (memory, cpu, pids, freezer, devices) and version 2.
//!
//! Only directories and their files are touched, never the mounts of the host. A group is
//! made below mounts that exist and removed when its processes have gone.

mod detect;
mod devices;
mod error;
mod stop;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub use devices::{Access, DeviceRule, Devices};
pub use error::CgroupError;

/// Those of version 1 that a group is made in; each costs two directory operations a container.
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "pids", "freezer", "devices"];
/// Those of version 2 that are turned on for groups.
const DELEGATED: [&str; 3] = ["memory", "cpu", "pids"];

/// The mounts of the host that groups are made in; see [`Hierarchy::detect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 1: a directory with one mount a controller.
    V1(PathBuf),
    /// Version 2: its mount, or a group below it.
    V2(PathBuf),
}

/// Limits of a group; `None` leaves a value alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processor time: quota and period in microseconds.
    pub cpu: Option<(u64, u64)>,
    /// Number of processes and threads.
    pub pids: Option<u64>,
}

/// A control group.
#[derive(Debug)]
pub struct Cgroup {
    hierarchy: Hierarchy,
    name: String,
    /// Of version 1: those that are mounted.
    controllers: Vec<&'static str>,
}

impl Cgroup {
    /// Makes the group, and with version 2 turns on the controllers that its parents offer.
    ///
    /// # Errors
    /// Fails if the name is not plain or a directory cannot be made.
    pub fn create(hierarchy: Hierarchy, name: &str) -> Result<Self, CgroupError> {
        let group = Self::existing(hierarchy, name)?;
        if let Hierarchy::V2(mount) = &group.hierarchy {
            delegate(mount, name)?;
        }
        for directory in group.directories() {
            access(&directory, fs::create_dir_all(&directory))?;
        }
        Ok(group)
    }

    /// The group of a name that was made before, for processes that join it.
    ///
    /// # Errors
    /// Fails if the name is not plain.
    pub fn existing(hierarchy: Hierarchy, name: &str) -> Result<Self, CgroupError> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !name.split('/').all(plain) {
            return Err(CgroupError::Name { name: name.into() });
        }
        let controllers = match &hierarchy {
            // A directory that is no mount has no such file; nothing must be made there.
            Hierarchy::V1(mounts) => CONTROLLERS
                .into_iter()
                .filter(|controller| mounts.join(controller).join("cgroup.procs").exists())
                .collect(),
            Hierarchy::V2(_) => Vec::new(),
        };
        Ok(Self { hierarchy, name: name.into(), controllers })
    }

    /// Where the group is.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// The name that it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The controllers of version 1 that the group exists in; none with version 2.
    #[must_use]
    pub fn controllers(&self) -> &[&'static str] {
        &self.controllers
    }

    fn directories(&self) -> Vec<PathBuf> {
        match &self.hierarchy {
            Hierarchy::V1(mounts) => {
                let directory = |controller| mounts.join(controller).join(&self.name);
                self.controllers.iter().map(directory).collect()
            }
            Hierarchy::V2(mount) => vec![mount.join(&self.name)],
        }
    }

    /// The file of a controller, if the controller is there.
    fn file(&self, controller: &'static str, v1: &str, v2: &str) -> Result<PathBuf, CgroupError> {
        let path = match &self.hierarchy {
            Hierarchy::V1(mounts) => mounts.join(controller).join(&self.name).join(v1),
            Hierarchy::V2(mount) => mount.join(&self.name).join(v2),
        };
        if path.exists() {
            return Ok(path);
        }
        // What is offered may still have been refused.
        let reason = self.hierarchy.lacks(controller);
        Err(reason.unwrap_or(CgroupError::NoController { controller }))
    }

    /// Sets limits.
    ///
    /// # Errors
    /// Fails if a controller is missing or refuses a value.
    pub fn limit(&self, limits: &Limits) -> Result<(), CgroupError> {
        if let Some(bytes) = limits.memory {
            write(&self.file("memory", "memory.limit_in_bytes", "memory.max")?, bytes)?;
        }
        if let Some(count) = limits.pids {
            write(&self.file("pids", "pids.max", "pids.max")?, count)?;
        }
        let Some((quota, period)) = limits.cpu else { return Ok(()) };
        if matches!(self.hierarchy, Hierarchy::V2(_)) {
            return write(&self.file("cpu", "", "cpu.max")?, format!("{quota} {period}"));
        }
        write(&self.file("cpu", "cpu.cfs_period_us", "")?, period)?;
        write(&self.file("cpu", "cpu.cfs_quota_us", "")?, quota)
    }

    /// Moves a process, by its id in the caller's namespace, into the group.
    ///
    /// # Errors
    /// Fails if a hierarchy refuses it.
    pub fn join(&self, pid: i32) -> Result<(), CgroupError> {
        self.directories().iter().try_for_each(|dir| write(&dir.join("cgroup.procs"), pid))
    }

    /// Opens the files of version 1 by which a thread moves itself into the group; none with version
    /// 2, where a process starts in it.
    ///
    /// A thread that moves itself alone, by `0` in `tasks`, takes no lock that all of the machine's
    /// processes share (`cgroup_procs_write_start`, Linux 5.12); for another's process the kernel
    /// first waits until every processor has passed a quiet point, 5 to 15 ms.
    pub(crate) fn entrances(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let Hierarchy::V1(mounts) = &self.hierarchy else { return Ok(Vec::new()) };
        let open = |controller: &&str| {
            let path = mounts.join(controller).join(&self.name).join("tasks");
            Ok(access(&path, File::options().write(true).open(&path))?.into())
        };
        self.controllers.iter().map(open).collect()
    }

    /// Opens the directory, for starting a process in it; `None` for version 1, which cannot.
    ///
    /// # Errors
    /// Fails if the directory cannot be opened.
    pub fn open(&self) -> Result<Option<OwnedFd>, CgroupError> {
        let Hierarchy::V2(mount) = &self.hierarchy else { return Ok(None) };
        let path = mount.join(&self.name);
        Ok(Some(access(&path, File::open(&path))?.into()))
    }
}

/// Turns on controllers from the mount down to the group's parent, where they are offered and not
/// on already.
fn delegate(mount: &Path, name: &str) -> Result<(), CgroupError> {
    let mut place = mount.to_path_buf();
    for part in name.split('/') {
        access(&place, fs::create_dir_all(&place))?;
        // What a limit lacks is told when it is set.
        if !is_occupied(&place) {
            turn_on(&place)?;
        }
        place.push(part);
    }
    Ok(())
}

fn turn_on(place: &Path) -> Result<(), CgroupError> {
    let read = |file: &str| {
        let path = place.join(file);
        access(&path, fs::read_to_string(&path))
    };
    let (offered, on) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let has = |list: &str, name: &str| list.split_whitespace().any(|one| one == name);
    let wanted = |name: &&str| has(&offered, name) && !has(&on, name);
    for controller in DELEGATED.iter().filter(|name| wanted(name)) {
        // Setting a limit says so if the controller could not be turned on.
        let _ = fs::write(place.join("cgroup.subtree_control"), format!("+{controller}"));
    }
    Ok(())
}

/// Whether a group of version 2 has processes that keep it from giving controllers to groups below
/// ("no internal processes", `Documentation/admin-guide/cgroup-v2.rst`). Some could still be turned
/// on, and would make the groups below unfit for processes. The machine's first group, which alone
/// has no type, is free to have both.
fn is_occupied(group: &Path) -> bool {
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    !processes.is_empty() && group.join("cgroup.type").exists()
}

fn write(path: &Path, value: impl ToString) -> Result<(), CgroupError> {
    access(path, fs::write(path, value.to_string()))
}

fn access<T>(path: &Path, done: io::Result<T>) -> Result<T, CgroupError> {
    done.map_err(|source| CgroupError::Access { path: path.into(), source })
}
