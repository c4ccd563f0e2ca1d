//! Freezing, killing and removing groups.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Cgroup, CgroupError, Hierarchy, access, write};
use crate::systemd::Scope;

/// How long the kernel may take until processes have left, or have stopped.
const PATIENCE: Duration = Duration::from_secs(2);

impl Cgroup {
    /// Stops every process of the group, or lets them continue. Where they do not stop in time, they
    /// continue.
    ///
    /// # Errors
    /// Fails if the freezer is missing or refuses, or if they do not stop in time.
    pub fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        let file = self.file("freezer", "freezer.state", "cgroup.freeze")?;
        let done = match (&self.hierarchy, frozen) {
            (Hierarchy::V1(_), true) => freeze_v1(&file),
            (Hierarchy::V1(_), false) => write(&file, "THAWED"),
            (Hierarchy::V2(_), frozen) => write(&file, u8::from(frozen)).and_then(|()| {
                let wanted = format!("frozen {}", u8::from(frozen));
                settle(&file.with_file_name("cgroup.events"), |text| {
                    text.lines().any(|line| line == wanted)
                })
            }),
        };
        if done.is_err() && frozen {
            // Why they did not stop says more.
            let _ = self.freeze(false);
        }
        done
    }

    /// Whether the group itself is frozen or about to be.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.hierarchy.is_frozen(&self.name)
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

    /// The processes of the group and of those below it.
    ///
    /// # Errors
    /// Fails if a list cannot be read.
    pub fn all_processes(&self) -> Result<Vec<i32>, CgroupError> {
        let mut found = Vec::new();
        if let Some(directory) = self.directories().pop() {
            access(&directory, collect(&directory, &mut found))?;
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Kills every process of the group: `cgroup.kill` (5.14), or by freezing first so that none
    /// can be born or have its id used again meanwhile.
    ///
    /// # Errors
    /// Fails if the group cannot be frozen, listed or thawed.
    pub fn kill(&self) -> Result<(), CgroupError> {
        if let Hierarchy::V2(mount) = &self.hierarchy {
            let kill = mount.join(&self.name).join("cgroup.kill");
            if kill.exists() {
                return write(&kill, 1);
            }
        }
        if self.all_processes()?.is_empty() {
            return Ok(());
        }
        let frozen = self.freeze(true);
        // A group is frozen with those below it.
        let listed = self.all_processes();
        if let Ok(pids) = &listed {
            for pid in pids {
                // A process that has ended already is no failure.
                let _ = creel_sys::program::kill(*pid, 9);
            }
        }
        // Whatever went wrong, a group is never left frozen.
        self.freeze(false)?;
        frozen?;
        listed.map(drop)
    }

    /// Removes the group, with those that its processes have made below it, and its scope. Processes that
    /// are still in it are killed, and for two seconds it is waited for them to leave. A group that is
    /// gone is no failure.
    ///
    /// # Errors
    /// Fails if processes or groups remain in it, or if systemd does not end the scope.
    pub fn remove(&self) -> Result<(), CgroupError> {
        self.remove_directories()?;
        Ok(self.scope().map_or(Ok(()), Scope::stop)?)
    }

    /// Stops a scope in which there are no processes, for whose end it waits two seconds; else it stays.
    ///
    /// # Errors
    /// What systemd says.
    pub fn stop_unused(scope: &Scope) -> Result<(), CgroupError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let group = match scope.group() {
                Err(error) if error.is_gone() => return Ok(()),
                group => group?,
            };
            // Without a group it is about to get one.
            let group = group.map(|name| Self::existing(Hierarchy::v2(), &name)).transpose()?;
            let is_empty = |group: &Self| group.all_processes().unwrap_or_default().is_empty();
            if group.as_ref().is_some_and(is_empty) {
                return Ok(scope.stop()?);
            }
            if Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Removes the group if it has neither groups below it nor processes, for whose end it waits two
    /// seconds; else it stays.
    pub fn remove_unused(&self) {
        let deadline = Instant::now() + PATIENCE;
        for directory in self.directories() {
            while matches!(fs::remove_dir(&directory), Err(error) if error.kind() == ErrorKind::ResourceBusy)
                && Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn remove_directories(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + PATIENCE;
        let mut killed = false;
        for directory in self.directories() {
            loop {
                match remove_tree(&directory) {
                    Ok(()) => break,
                    Err(error) if error.kind() == ErrorKind::NotFound => break,
                    Err(error) if error.kind() != ErrorKind::ResourceBusy => {
                        return access(&directory, Err(error));
                    }
                    Err(error) if Instant::now() >= deadline => {
                        return access(&directory, Err(error));
                    }
                    Err(_) if killed => std::thread::sleep(Duration::from_millis(1)),
                    Err(_) => {
                        // The processes are in all directories; the first still has them.
                        killed = true;
                        self.kill()?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Adds the processes of a group and of those below it. One that goes meanwhile has none.
fn collect(directory: &Path, found: &mut Vec<i32>) -> io::Result<()> {
    let text = fs::read_to_string(directory.join("cgroup.procs"))?;
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let _ = collect(&entry.path(), found);
        }
    }
    Ok(())
}

/// Removes a group that has no processes, and those below it.
fn remove_tree(directory: &Path) -> io::Result<()> {
    let busy = match fs::remove_dir(directory) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => error,
        done => return done,
    };
    let mut nested = false;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            nested = true;
            remove_tree(&entry.path())?;
        }
    }
    if nested { fs::remove_dir(directory) } else { Err(busy) }
}

impl Hierarchy {
    /// Whether a group is frozen or about to be; one that is not there is not.
    #[must_use]
    pub fn is_frozen(&self, name: &str) -> bool {
        let (path, thawed) = match self {
            Self::V1(mounts) => (mounts.join("freezer").join(name).join("freezer.state"), "THAWED"),
            Self::V2(mount) => (mount.join(name).join("cgroup.freeze"), "0"),
        };
        fs::read_to_string(path).is_ok_and(|text| text.trim() != thawed)
    }
}

/// The freezer of version 1 can stay half-way when processes are born meanwhile; it is thawed and
/// frozen again then (`Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst`).
fn freeze_v1(file: &Path) -> Result<(), CgroupError> {
    let mut tries = 0_u32;
    write(file, "FROZEN")?;
    settle(file, |text| {
        let frozen = text.trim() == "FROZEN";
        tries += 1;
        if !frozen {
            let again = if tries.is_multiple_of(25) { "THAWED" } else { "FROZEN" };
            // Whether it was taken is what the next look says.
            let _ = write(file, again);
        }
        frozen
    })
}

/// Waits until the kernel says that all processes have stopped, which it does not at once.
fn settle(file: &Path, mut done: impl FnMut(&str) -> bool) -> Result<(), CgroupError> {
    let deadline = Instant::now() + PATIENCE;
    while !done(&access(file, fs::read_to_string(file))?) {
        if Instant::now() >= deadline {
            return access(file, Err(ErrorKind::TimedOut.into()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
