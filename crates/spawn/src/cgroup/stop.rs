//! Freezing, killing and removing groups.

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::{Cgroup, CgroupError, Hierarchy, access, write};

const REMOVE_DEADLINE: Duration = Duration::from_secs(2);

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

    /// Removes the group. Processes that are still in it are killed, and for two seconds it is
    /// waited for them to leave. A group that is gone is no failure.
    ///
    /// # Errors
    /// Fails if processes or groups remain in it.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + REMOVE_DEADLINE;
        let mut killed = false;
        for directory in self.directories() {
            loop {
                match fs::remove_dir(&directory) {
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
