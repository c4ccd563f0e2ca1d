//! Reading what a group uses.

use std::fs;

use super::{Cgroup, Hierarchy};

impl Cgroup {
    /// The text of a file of a controller; none if the controller or the file is not there.
    #[must_use]
    pub fn read(&self, controller: &str, file: &str) -> Option<String> {
        let directory = match &self.hierarchy {
            Hierarchy::V1(mounts) => mounts.join(controller).join(&self.name),
            Hierarchy::V2(mount) => mount.join(&self.name),
        };
        fs::read_to_string(directory.join(file)).ok()
    }
}
