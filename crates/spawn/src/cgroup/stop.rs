//! Freezing, killing and removing groups.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Cgroup, CgroupError, Hierarchy, access, write};

/// How long the kernel may take until processes have left, or have stopped.
const PATIENCE: Duration = Duration::from_secs(2);

impl Cgroup {
    /// Stops every process of the group, or lets them continue.
    ///
    /// # Errors
    /// Fails if the freezer is missing or refuses.
    pub fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        let file = self.file("freezer", "freezer.state", "cgroup.freeze")?;
        match (&self.hierarchy, frozen) {
            (Hierarchy::V1(_), true) => write(&file, "FROZEN"),
            (Hierarchy::V1(_), false) => write(&file, "THAWED"),
            (Hierarchy::V2(_), frozen) => {
                write(&file, u8::from(frozen))?;
                settle(&file.with_file_name("cgroup.events"), frozen)
            }
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
            let kill = mount.join(&self.name).join("cgroup.kill");
            if kill.exists() {
                return write(&kill, 1);
            }
        }
        if self.processes()?.is_empty() {
            return Ok(());
        }
        let frozen = self.freeze(true);
        let listed = self.processes();
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

    /// Removes the group, with those that its processes have made below it. Processes that are still in it are killed, and for two seconds it is
    /// waited for them to leave. A group that is gone is no failure.
    ///
    /// # Errors
    /// Fails if processes or groups remain in it.
    pub fn remove(&self) -> Result<(), CgroupError> {
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

/// Waits until the kernel says that all processes have stopped, which it does not at once.
fn settle(events: &Path, frozen: bool) -> Result<(), CgroupError> {
    let wanted = format!("frozen {}", u8::from(frozen));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = access(events, fs::read_to_string(events))?;
        if text.lines().any(|line| line == wanted) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return access(events, Err(ErrorKind::TimedOut.into()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
