//! Starting and signalling.

use std::os::fd::AsFd;
use std::sync::Arc;

use creel_spawn::{Namespace, Rest, SpawnError};

use super::Runtime;
use super::delete::Deletion;
use super::directory::Directory;
use super::error::LifecycleError;
use super::hooks::Hooks;
use super::id::ContainerId;
use super::record::{CgroupRecord, Record};
use super::state::Status;
use super::supervision::supervision;
use crate::container::{Container, ContainerError, supervised};
use crate::lower;
use crate::spec::{self, Linux, NamespaceKind, Spec};

impl Runtime {
    /// Starts the program of a container that was created, and returns once it is executed.
    ///
    /// # Errors
    /// [`LifecycleError::NotCreated`]; or the step that failed, after which the container is stopped; if
    /// that was a hook, it is deleted too (`runtime.md`, "Lifecycle").
    pub fn start(&self, id: &ContainerId) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            Status::Created => {}
            status => return Err(LifecycleError::NotCreated { id: id.to_string(), status }),
        }
        let spec = record.spec()?;
        let connection = directory.connect()?;
        directory.set_started()?;
        let released = release(&directory, &record, &spec, connection);
        if matches!(
            released,
            Err(ContainerError::Supervisor(_) | ContainerError::Spawn(SpawnError::Listener(_)))
        ) {
            // It waits for answers that may never come. Why says more than whether it can be killed.
            let _ = open(&record, &spec).map(|container| container.signal(9));
        }
        let hooks = Hooks::of(id, &record.bundle, &spec)?;
        let started = match (released, hooks) {
            (Err(ContainerError::Spawn(error)), _) => Err(error.into()),
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(hooks)) => hooks.run_started(record.process.pid),
            (Ok(()), None) => Ok(()),
        };
        if matches!(started, Err(LifecycleError::Spawn(SpawnError::Hook { .. }))) {
            // As the specification has it: what failed says more than whether that works.
            let _ = self.delete(id, Deletion::Forced);
        }
        started
    }

    /// Sends a signal to a container's first process.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`] if it is stopped.
    pub fn signal(&self, id: &ContainerId, signal: i32) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            Status::Stopped if signal == KILL && ends_rest(&record)? => Ok(()),
            status @ Status::Stopped => {
                Err(LifecycleError::NotRunning { action: "signal", id: id.to_string(), status })
            }
            _ if signal == KILL => kill(&record),
            _ => Ok(open(&record, &record.spec()?)?.signal(signal)?),
        }
    }
}

const KILL: i32 = 9;

/// Kills all processes; a paused container is thawed, since with version 1 of control groups the
/// signal waits for that.
fn kill(record: &Record) -> Result<(), LifecycleError> {
    let container = open(record, &record.spec()?)?;
    match container.kill() {
        // A signal to the first process is what can be done.
        Err(ContainerError::NoCgroup) => container.signal(KILL)?,
        killed => killed?,
    }
    if record.is_frozen() { Ok(record.group()?.freeze(false)?) } else { Ok(()) }
}

/// Kills what a container without a process namespace of its own has left in its group; tells
/// whether there was anything.
fn ends_rest(record: &Record) -> Result<bool, LifecycleError> {
    let own = |namespace: &spec::Namespace| {
        namespace.kind == spec::NamespaceKind::Pid && namespace.path().is_none()
    };
    let linux = record.spec()?.linux;
    let namespaces = linux.as_ref().map_or(&[][..], |linux| &linux.namespaces);
    if record.cgroup.is_none() || namespaces.iter().any(own) {
        return Ok(false);
    }
    let group = record.group()?;
    // A group that is gone has no processes.
    let any = group.processes().is_ok_and(|processes| !processes.is_empty());
    if any {
        group.kill()?;
    }
    Ok(any)
}

/// Lets the first process go, until it executes its program.
fn release(
    directory: &Directory<'_>,
    record: &Record,
    spec: &Spec,
    connection: impl AsFd,
) -> Result<(), ContainerError> {
    let (rest, pid) = (Rest::from(record.rest.clone()), record.process.pid);
    let process = Some((pid, spec::Status::Created));
    let supervisor = supervision(directory, &record.bundle, spec, process);
    let supervisor = supervisor.as_ref().map(|(supervisor, state)| (supervisor, state));
    supervised(supervisor, |listen| rest.release(connection, pid, listen))
}

/// The container that a record is about.
pub(super) fn open(record: &Record, spec: &Spec) -> Result<Container, LifecycleError> {
    let empty = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    let mut namespaces = lower::kinds(linux)?;
    let joins = |kind| linux.namespaces.iter().any(|one| one.kind == kind && one.path().is_some());
    let pid = record.process.pid;
    if joins(NamespaceKind::User) && shares(pid, Namespace::User) {
        namespaces.retain(|kind| *kind != Namespace::User);
    }
    let cgroup = record.cgroup.as_ref().map(CgroupRecord::open).transpose()?.map(Arc::new);
    let single = denies_setgroups(&pid.to_string());
    let identity = record.process.identity();
    let container = Container::open(identity, namespaces, single, cgroup)?;
    Ok(if joins(NamespaceKind::Pid) { container.among_others() } else { container })
}

/// Whether a process is in the same namespace as this one; the kernel lets nobody join that of users.
fn shares(pid: i32, kind: Namespace) -> bool {
    let link = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/{}", kind.file())).ok();
    link(&pid.to_string()) == link("self")
}

/// Whether the user namespace of a process denies `setgroups`, as one with a single id does.
pub(super) fn denies_setgroups(process: &str) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{process}/setgroups"));
    text.is_ok_and(|text| text.trim() == "deny")
}
