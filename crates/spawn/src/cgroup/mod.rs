//! Control groups, version 1 and version 2.
//!
//! Only directories and their files are touched, never the mounts of the host. A group is
//! made below mounts that exist and removed when its processes have gone.

mod below;
mod detect;
mod devices;
mod error;
mod give;
mod measure;
mod oom;
mod reach;
mod setting;
mod stop;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub use below::Below;
pub use devices::{Access, DeviceRule, Devices};
pub use error::{CgroupError, SettingError};
pub use oom::OomWatch;
pub use setting::{Missing, Setting};

use crate::systemd::Scope;

/// Those of version 1 that every group is made in; each costs two directory operations a container.
const USUAL: [&str; 5] = ["memory", "cpu", "pids", "freezer", "devices"];
/// All that version 1 has, the usual ones first. Where several are one mount, each has a link to it.
const CONTROLLERS: [&str; 13] = [
    "memory",
    "cpu",
    "pids",
    "freezer",
    "devices",
    "cpuset",
    "cpuacct",
    "blkio",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
];
/// Those of version 2 that are turned on for every group.
const DELEGATED: [&str; 3] = ["memory", "cpu", "pids"];

/// Which controllers a group is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Controllers {
    /// Those that limit and freeze: memory, cpu and pids, with version 1 freezer and devices too; and
    /// these, where a setting needs them.
    UsualAnd(Vec<&'static str>),
    /// All that there are. Who gives a group its name may look for it in any of them.
    All,
}

impl Controllers {
    fn wants(&self, usual: &[&str], name: &str) -> bool {
        match self {
            Self::UsualAnd(others) => usual.contains(&name) || others.contains(&name),
            Self::All => true,
        }
    }
}

/// The mounts of the host that groups are made in; see [`Hierarchy::detect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 1: a directory with one mount a controller.
    V1(PathBuf),
    /// Version 2: its mount, or a group below it.
    V2(PathBuf),
}

/// A control group.
#[derive(Debug)]
pub struct Cgroup {
    hierarchy: Hierarchy,
    name: String,
    /// Of version 1: those that are mounted.
    controllers: Vec<&'static str>,
    /// What systemd has made it with, if it has.
    scope: Option<Scope>,
    /// Where in it processes go that join it.
    below: Below,
}

impl Cgroup {
    /// Makes the group, and with version 2 turns on the controllers that its parents offer.
    ///
    /// # Errors
    /// Fails if the name is not plain, a directory cannot be made, or there is such a group already
    /// and it has processes or is frozen.
    pub fn create(
        hierarchy: Hierarchy,
        name: &str,
        wanted: &Controllers,
    ) -> Result<Self, CgroupError> {
        check_name(name)?;
        let controllers = match &hierarchy {
            // A directory that is no mount has no such file; nothing must be made there.
            Hierarchy::V1(mounts) => CONTROLLERS
                .into_iter()
                .filter(|controller| wanted.wants(&USUAL, controller))
                .filter(|controller| mounts.join(controller).join("cgroup.procs").exists())
                .collect(),
            Hierarchy::V2(mount) => {
                delegate(mount, name, wanted)?;
                Vec::new()
            }
        };
        let group = Self::of_parts(hierarchy, name, controllers);
        let mut made = Vec::new();
        if let Err(error) = group.make(&mut made) {
            for directory in made {
                // Why it could not be made says more.
                let _ = fs::remove_dir(directory);
            }
            return Err(error);
        }
        Ok(group)
    }

    /// The group of a name that was made before, for processes that join it.
    ///
    /// # Errors
    /// Fails if the name is not plain.
    pub fn existing(hierarchy: Hierarchy, name: &str) -> Result<Self, CgroupError> {
        check_name(name)?;
        let controllers = match &hierarchy {
            Hierarchy::V1(mounts) => CONTROLLERS
                .into_iter()
                .filter(|controller| mounts.join(controller).join(name).exists())
                .collect(),
            Hierarchy::V2(_) => Vec::new(),
        };
        Ok(Self::of_parts(hierarchy, name, controllers))
    }

    fn of_parts(hierarchy: Hierarchy, name: &str, controllers: Vec<&'static str>) -> Self {
        let (name, scope, below) = (name.into(), None, Below::default());
        Self { hierarchy, name, controllers, scope, below }
    }

    /// The group as that of a scope, with which it ends.
    #[must_use]
    pub fn of_scope(self, scope: Option<Scope>) -> Self {
        Self { scope, ..self }
    }

    /// The scope that it is the group of, if systemd has made it.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Makes the directories and tells which it has made.
    fn make(&self, made: &mut Vec<PathBuf>) -> Result<(), CgroupError> {
        for directory in self.directories() {
            let done = match fs::create_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir_all(&directory)
                }
                done => done,
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.check_unused(&directory)?;
                }
                done => {
                    access(&directory, done)?;
                    made.push(directory);
                }
            }
        }
        match &self.hierarchy {
            Hierarchy::V1(mounts) if self.controllers.contains(&"cpuset") => {
                inherit_processors(&mounts.join("cpuset"), &self.name)
            }
            Hierarchy::V1(_) => Ok(()),
            Hierarchy::V2(mount) => follow_threads(&mount.join(&self.name)),
        }
    }

    /// Fails if a group that was there before has processes, which would end with the container, or
    /// if nothing could begin in it.
    fn check_unused(&self, directory: &Path) -> Result<(), CgroupError> {
        let processes = directory.join("cgroup.procs");
        let count = access(&processes, fs::read_to_string(&processes))?.lines().count();
        let path = || directory.to_path_buf();
        if count > 0 {
            return Err(CgroupError::NotEmpty { count, path: path() });
        }
        if self.is_frozen() { Err(CgroupError::Frozen { path: path() }) } else { Ok(()) }
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
        if path.exists() { Ok(path) } else { Err(self.lack(controller)) }
    }

    /// Why a controller has no such file: what is offered may still have been refused.
    fn lack(&self, controller: &'static str) -> CgroupError {
        if let Hierarchy::V2(mount) = &self.hierarchy
            && has_type(&mount.join(&self.name), "threaded")
        {
            return CgroupError::Threaded { controller, path: mount.join(&self.name) };
        }
        self.hierarchy.lacks(controller).unwrap_or(CgroupError::NoController { controller })
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
        if let Hierarchy::V2(_) = &self.hierarchy {
            return Ok(Vec::new());
        }
        let open = |controller: &&str| {
            let path = self.entrance(controller).join("tasks");
            Ok(access(&path, File::options().write(true).open(&path))?.into())
        };
        self.controllers.iter().map(open).collect()
    }

    /// Opens the directory, for starting a process in it; `None` for version 1, which cannot, and where
    /// systemd moves it there.
    ///
    /// # Errors
    /// Fails if the directory cannot be opened.
    pub fn open(&self) -> Result<Option<OwnedFd>, CgroupError> {
        if matches!(self.hierarchy, Hierarchy::V1(_)) || self.mover().is_some() {
            return Ok(None);
        }
        let path = self.entrance("");
        Ok(Some(access(&path, File::open(&path))?.into()))
    }
}

fn check_name(name: &str) -> Result<(), CgroupError> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if name.split('/').all(plain) {
        return Ok(());
    }
    Err(CgroupError::Name { name: name.into() })
}

/// Gives each group down to the named one the processors and memory nodes of the one above, where it
/// has none: nothing can enter a group without any (`cpusets(7)`).
fn inherit_processors(mount: &Path, name: &str) -> Result<(), CgroupError> {
    let read = |path: PathBuf| access(&path, fs::read_to_string(&path));
    let mut place = mount.to_path_buf();
    for part in name.split('/') {
        let above = place.clone();
        place.push(part);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if read(place.join(file))?.trim().is_empty() {
                write(&place.join(file), read(above.join(file))?.trim())?;
            }
        }
    }
    Ok(())
}

/// Turns on controllers from the mount down to the group's parent, where they are offered and not
/// on already.
fn delegate(mount: &Path, name: &str, wanted: &Controllers) -> Result<(), CgroupError> {
    let mut place = mount.to_path_buf();
    for part in name.split('/') {
        access(&place, fs::create_dir_all(&place))?;
        follow_threads(&place)?;
        // What a limit lacks is told when it is set.
        if !is_occupied(&place) {
            turn_on(&place, wanted)?;
        }
        place.push(part);
    }
    Ok(())
}

/// Makes a group below a threaded one fit for processes, which it is only as a threaded one too
/// (`Documentation/admin-guide/cgroup-v2.rst`, "Threads"). What a limit lacks then is told when it is set.
fn follow_threads(group: &Path) -> Result<(), CgroupError> {
    if has_type(group, "domain invalid") {
        write(&group.join("cgroup.type"), "threaded")
    } else {
        Ok(())
    }
}

fn has_type(group: &Path, kind: &str) -> bool {
    fs::read_to_string(group.join("cgroup.type")).is_ok_and(|text| text.trim() == kind)
}

fn turn_on(place: &Path, wanted: &Controllers) -> Result<(), CgroupError> {
    let read = |file: &str| {
        let path = place.join(file);
        access(&path, fs::read_to_string(&path))
    };
    let (offered, on) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let is_on = |name: &str| on.split_whitespace().any(|one| one == name);
    let missing = |name: &&str| wanted.wants(&DELEGATED, name) && !is_on(name);
    for controller in offered.split_whitespace().filter(missing) {
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
