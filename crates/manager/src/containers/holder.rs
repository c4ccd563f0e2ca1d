//! Whoever runs a container, and holds its lock. Stopped, it would never put the container away.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use creel_base::lock::{self, Holder};

use super::catalog::{Container, LOCK};
use super::error::ContainerError;

/// SIGCONT on every architecture but MIPS, PA-RISC, Alpha and SPARC (signal(7)).
const CONTINUE: i32 = 18;

/// Lets whoever runs a container go on, if it is stopped (`kill -STOP`, or by its shell).
pub(super) fn wake(container: &Container) {
    let Some(pid) = pid(container) else { return };
    // What is looked at from here on is the process that gets the signal, or one that has ended.
    let Ok(process) = creel_spawn::open_process(pid) else { return };
    if is_stopped(pid) && has_open(pid, container) {
        // Where this is not allowed, the caller says who holds the container.
        let _ = creel_spawn::signal(process.as_fd(), CONTINUE);
    }
}

/// Names whoever does not let a container go.
pub(super) fn held(container: &Container) -> ContainerError {
    ContainerError::Held { name: container.record.name.clone(), pid: pid(container) }
}

/// The pid as it was written down: it may be of another process namespace.
fn pid(container: &Container) -> Option<i32> {
    match lock::holder(&container.dir, LOCK) {
        Ok(Holder::Exclusive(pid)) => pid.and_then(|pid| i32::try_from(pid).ok()),
        _ => None,
    }
}

fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may hold anything (`proc_pid_stat(5)`).
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
}

/// Tells whether a process has the lock's file open: a process that has not is another one. A user's
/// `creel` in another user namespace does not let itself be looked at: its pid has to do then.
fn has_open(pid: i32, container: &Container) -> bool {
    let Ok(lock) = container.dir.stat(LOCK) else { return false };
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return true };
    open.flatten().any(|fd| match fs::metadata(fd.path()) {
        Ok(file) => (file.dev(), file.ino()) == (lock.st_dev, lock.st_ino),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    })
}
