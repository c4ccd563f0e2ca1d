//! Containers that go on, and their processes as the host sees them.

use std::path::{Path, PathBuf};

use super::{Background, World, until};

/// A script that goes on until it is told to end.
const WAITS: &str = "trap 'echo term; exit 5' TERM; trap 'echo int; exit 6' INT; \
    trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done";

/// A container with that script.
pub(crate) fn waits(world: &World, options: &[&str]) -> Background {
    world.background(&[&["run"], options, &["box", "sh", "-c", WAITS]].concat())
}

/// The groups of a container, wherever the hierarchies are.
pub(crate) fn groups(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        found.push(entry.path().join("creel").join(id));
    }
    found.push(Path::new("/sys/fs/cgroup/creel").join(id));
    found.retain(|path| path.exists());
    found
}

/// The container's process as the host sees it.
pub(crate) fn process(world: &World, id: &str) -> i32 {
    // It is written down once it runs, and may have said something by then.
    let file = world.runs_directory().join(id).join("process.json");
    until("the process is written down", || file.exists());
    let text = std::fs::read_to_string(file);
    let text = text.unwrap();
    let digits = text.split("\"pid\":").nth(1).unwrap().trim_start();
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Tells whether a process still runs.
pub(crate) fn is_alive(pid: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(state.rsplit(") ").next().unwrap_or("").chars().next(), None | Some('Z' | 'X'))
}
