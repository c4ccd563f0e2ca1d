//! Control groups, version 1 (memory, cpu, pids, freezer) and version 2.
//!
//! Only directories and their files are touched, never the mounts of the host. A group is
//! made below mounts that exist and removed when its processes have gone.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const REMOVE_DEADLINE: Duration = Duration::from_secs(2);
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "pids", "freezer"];

/// Why a control group could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The name leads out of the hierarchy or names nothing (crun 1.28 and 1.29 were escaped so).
    #[error("control group `{name}` is not made of plain names")]
    Name {
        /// The name.
        name: String,
    },
    /// A limit needs a controller that the hierarchy does not have.
    #[error("controller `{controller}` is not available")]
    NoController {
        /// The controller.
        controller: &'static str,
    },
    /// A file or directory of the group.
    #[error("could not access `{}`", path.display())]
    Access {
        /// Its path.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
}

impl creel_base::hint::Hint for CgroupError {}

/// The mounts of the host that groups are made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 1: a directory with one mount a controller.
    V1(PathBuf),
    /// Version 2: its mount.
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
}

impl Cgroup {
    /// Makes the group, and with version 2 turns on the controllers that its parents offer.
    ///
    /// # Errors
    /// Fails if the name is not plain or a directory cannot be made.
    pub fn create(hierarchy: Hierarchy, name: &str) -> Result<Self, CgroupError> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !name.split('/').all(plain) {
            return Err(CgroupError::Name { name: name.into() });
        }
        let group = Self { hierarchy, name: name.into() };
        if let Hierarchy::V2(mount) = &group.hierarchy {
            delegate(mount, name)?;
        }
        for directory in group.directories() {
            access(&directory, fs::create_dir_all(&directory))?;
        }
        Ok(group)
    }

    /// Where the group is.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// The controllers of version 1 that the group exists in; none with version 2.
    #[must_use]
    pub fn controllers(&self) -> Vec<&'static str> {
        let Hierarchy::V1(mounts) = &self.hierarchy else { return Vec::new() };
        let there = |name: &&str| mounts.join(name).join("cgroup.procs").exists();
        CONTROLLERS.into_iter().filter(there).collect()
    }

    fn directories(&self) -> Vec<PathBuf> {
        match &self.hierarchy {
            Hierarchy::V1(mounts) => CONTROLLERS
                .iter()
                .map(|controller| mounts.join(controller))
                // A directory that is no mount has no such file; nothing must be made there.
                .filter(|mount| mount.join("cgroup.procs").exists())
                .map(|mount| mount.join(&self.name))
                .collect(),
            Hierarchy::V2(mount) => vec![mount.join(&self.name)],
        }
    }

    /// The file of a controller, if the controller is there.
    fn file(&self, controller: &'static str, v1: &str, v2: &str) -> Result<PathBuf, CgroupError> {
        let path = match &self.hierarchy {
            Hierarchy::V1(mounts) => mounts.join(controller).join(&self.name).join(v1),
            Hierarchy::V2(mount) => mount.join(&self.name).join(v2),
        };
        if path.exists() { Ok(path) } else { Err(CgroupError::NoController { controller }) }
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

    /// Moves a child that has just been started into the group, unless it started in it: version 1
    /// cannot do that.
    pub(crate) fn enter(&self, pid: i32) -> Result<(), CgroupError> {
        match self.hierarchy {
            Hierarchy::V1(_) => self.join(pid),
            Hierarchy::V2(_) => Ok(()),
        }
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

    /// Stops every process of the group, or lets them continue.
    ///
    /// # Errors
    /// Fails if the freezer is missing or refuses.
    pub fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        let file = self.file("freezer", "freezer.state", "cgroup.freeze")?;
        match (&self.hierarchy, frozen) {
            (Hierarchy::V1(_), true) => write(&file, "FROZEN"),
            (Hierarchy::V1(_), false) => write(&file, "THAWED"),
            (Hierarchy::V2(_), frozen) => write(&file, u8::from(frozen)),
        }
    }

    /// The processes of the group, by id in the caller's namespace.
    ///
    /// # Errors
    /// Fails if the list cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>, CgroupError> {
        let Some(directory) = self.directories().pop() else { return Ok(Vec::new()) };
        let path = directory.join("cgroup.procs");
        let text = access(&path, fs::read_to_string(&path))?;
        // Zero stands for a process that this namespace cannot see.
        Ok(text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect())
    }

    /// Kills every process of the group: `cgroup.kill` (5.14), or by freezing first so that none
    /// can be born or have its id used again meanwhile.
    ///
    /// # Errors
    /// Fails if the group cannot be frozen, listed or thawed.
    pub fn kill(&self) -> Result<(), CgroupError> {
        if let Hierarchy::V2(mount) = &self.hierarchy {
            return write(&mount.join(&self.name).join("cgroup.kill"), 1);
        }
        self.freeze(true)?;
        let listed = self.processes();
        if let Ok(pids) = &listed {
            for pid in pids {
                // A process that has ended already is no failure.
                let _ = creel_sys::program::kill(*pid, 9);
            }
        }
        // Whatever went wrong, a group is never left frozen.
        self.freeze(false)?;
        listed.map(drop)
    }

    /// Removes the group; waits up to two seconds for killed processes to leave it.
    ///
    /// # Errors
    /// Fails if processes or groups remain in it.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + REMOVE_DEADLINE;
        self.directories().iter().try_for_each(|directory| {
            loop {
                match fs::remove_dir(directory) {
                    Err(error)
                        if error.kind() == io::ErrorKind::ResourceBusy
                            && Instant::now() < deadline =>
                    {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    done => return access(directory, done),
                }
            }
        })
    }
}

/// Turns on controllers from the mount down to the group's parent, where they are offered.
fn delegate(mount: &Path, name: &str) -> Result<(), CgroupError> {
    let mut place = mount.to_path_buf();
    for part in name.split('/') {
        access(&place, fs::create_dir_all(&place))?;
        let offered = place.join("cgroup.controllers");
        let offered = access(&offered, fs::read_to_string(&offered))?;
        for controller in CONTROLLERS.iter().filter(|c| offered.split(' ').any(|o| o.trim() == **c))
        {
            let control = place.join("cgroup.subtree_control");
            // Setting a limit says so if the controller could not be turned on.
            let _ = fs::write(&control, format!("+{controller}"));
        }
        place.push(part);
    }
    Ok(())
}

fn write(path: &Path, value: impl ToString) -> Result<(), CgroupError> {
    access(path, fs::write(path, value.to_string()))
}

fn access<T>(path: &Path, done: io::Result<T>) -> Result<T, CgroupError> {
    done.map_err(|source| CgroupError::Access { path: path.into(), source })
}
