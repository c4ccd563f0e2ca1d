//! Giving a group of version 2 to another user.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::chown;

use super::{Cgroup, CgroupError, Hierarchy, access};

/// The files of a group whose owner may divide it further.
const DELEGATE: &str = "/sys/kernel/cgroup/delegate";

impl Cgroup {
    /// Makes a user the owner of the group's directory and of those of its files that the kernel says
    /// may be another's (`Documentation/admin-guide/cgroup-v2.rst`, "Model of Delegation"). Does
    /// nothing with version 1, which is root's alone.
    ///
    /// # Errors
    /// Fails if the owner cannot be changed.
    pub fn give_to(&self, user: u32) -> Result<(), CgroupError> {
        let Hierarchy::V2(mount) = &self.hierarchy else { return Ok(()) };
        let directory = mount.join(&self.name);
        access(&directory, chown(&directory, Some(user), None))?;
        let listed = fs::read_to_string(DELEGATE).unwrap_or_default();
        let usual = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];
        let names: Vec<&str> =
            if listed.is_empty() { usual.into() } else { listed.lines().collect() };
        for name in names.into_iter().filter(|name| !name.contains('/')) {
            let path = directory.join(name);
            match chown(&path, Some(user), None) {
                // Of a controller that is not on.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                done => access(&path, done)?,
            }
        }
        Ok(())
    }
}
