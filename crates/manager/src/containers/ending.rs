//! Ending the processes of containers that nobody waits for.

use std::io;
use std::time::Duration;

use creel_runtime::container::{Container as Opened, ContainerError as ProcessError};

use super::catalog::{Catalog, Container};
use super::error::ContainerError;
use super::record::{Process, ends_within};
use super::run_error::RunError;

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kills the process of a container, if it has one, and with it all others of its process namespace.
pub(super) fn kill(catalog: &Catalog, container: &Container) -> Result<(), RunError> {
    let Some(process) = catalog.process(container)? else { return Ok(()) };
    match process.open()? {
        Some(opened) => kill_opened(process, &opened),
        None => Ok(()),
    }
}

/// Kills the process of a container, if one was left, and waits until it has gone: it must not write
/// to files that are being removed, or used again.
pub(super) fn end(catalog: &Catalog, container: &Container) -> Result<(), RunError> {
    let Some(process) = catalog.process(container)? else { return Ok(()) };
    let Some(opened) = process.open()? else { return Ok(()) };
    kill_opened(process, &opened)?;
    if ends_within(&opened, PATIENCE)? {
        return Ok(());
    }
    let (name, pid) = (container.record.name.clone(), process.pid);
    Err(ContainerError::Lingers { name, pid }.into())
}

fn kill_opened(process: Process, opened: &Opened) -> Result<(), RunError> {
    let killed = match opened.kill() {
        Err(ProcessError::Signal { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            user_of(process).map_or(Ok(()), |user| opened.kill_as(user))
        }
        killed => killed,
    };
    match killed {
        Err(ProcessError::NotRunning) => Ok(()),
        killed => Ok(killed?),
    }
}

/// Whom a process runs as. Should its id be another's by now, nothing comes of the answer: what is
/// killed is held by a descriptor.
fn user_of(process: Process) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid));
    status.ok().as_deref().and_then(user)
}

/// The real user id of a process (`proc_pid_status(5)`).
fn user(status: &str) -> Option<u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whose_a_process_is() {
        assert_eq!(user("Name:\tsh\nUid:\t7\t8\t9\t10\nGid:\t1\t1\t1\t1\n"), Some(7));
        assert_eq!(user("Name:\tUid: 7\n"), None);
    }
}
