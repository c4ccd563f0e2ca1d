//! Further processes in a container.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use creel_base::path::Dir;
use creel_spawn::Stdio;
use creel_spawn::cgroup::Below;

use super::Runtime;
use super::console;
use super::create::{Console, check_console, warn_of_capabilities};
use super::directory::Directory;
use super::environment;
use super::error::LifecycleError;
use super::id::ContainerId;
use super::record::Record;
use super::start::open;
use super::state::Status;
use super::supervision::supervision;
use crate::container::{self, Running};
use crate::lower::lower_landlock;
use crate::seccomp::Filter;
use crate::spec::{self, Process, Spec};

/// What a further process needs besides its specification.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// Where its terminal goes.
    pub console: Console,
    /// Its standard descriptors and those that follow them, unless it has a terminal.
    pub stdio: Stdio,
    /// Descriptors that it gets after the standard ones.
    pub preserved: Vec<Arc<OwnedFd>>,
    /// Is told what is passed over in the specification.
    pub warn: Option<fn(&str)>,
    /// A listening socket that its pidfd is sent to.
    pub pidfd_socket: Option<PathBuf>,
    /// The groups below the container's that the process starts in, in place of that or of where the
    /// container's first process has moved itself.
    pub groups: Option<Below>,
    /// Whether the process is put into a paused container, where it waits for the others.
    pub ignore_paused: bool,
}

/// A container that processes can be started in.
#[derive(Debug)]
pub struct Joining<'a> {
    directory: Directory<'a>,
    record: Record,
    spec: Spec,
}

impl Runtime {
    /// Opens a container for further processes.
    ///
    /// # Errors
    /// [`LifecycleError::NoContainer`].
    pub fn join<'a>(&'a self, id: &'a ContainerId) -> Result<Joining<'a>, LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        let spec = record.spec()?;
        Ok(Joining { directory, record, spec })
    }
}

impl Joining<'_> {
    /// The specification of the container's first process, for others like it.
    #[must_use]
    pub fn process(&self) -> Process {
        self.spec.process.clone().unwrap_or_default()
    }

    /// Starts a further process, and returns once it executes its program.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`] if the container is stopped, [`LifecycleError::ExecPaused`]; or
    /// names the property that is wrong or the step that failed, and no process remains then.
    pub fn exec(&self, process: &Process, exec: &Exec) -> Result<Running, LifecycleError> {
        let Self { directory, record, spec } = self;
        check_console(Some(process), &exec.console)?;
        self.check_status(exec)?;
        if let Some(warn) = exec.warn {
            warn_of_capabilities(process, warn);
        }
        let first = (record.process.pid, spec::Status::Running);
        let joining = container::Exec {
            stdio: exec.stdio.clone(),
            line_ends: exec.console.line_ends(),
            preserved: exec.preserved.clone(),
            linux: spec.linux.clone().unwrap_or_default(),
            seccomp: Filter::Specified,
            landlock: lower_landlock(&spec.annotations)?,
            resctrl: record.resctrl().map_or(Ok(Vec::new()), |one| one.entrances())?,
            supervisor: supervision(directory, &record.bundle, spec, Some(first)),
        };
        let mut container = open(record, spec)?;
        if let Some(groups) = &exec.groups {
            container = container.below(groups)?;
        }
        let mut process = process.clone();
        let root = format!("/proc/{}/root", record.process.pid);
        environment::complete(&mut process.env, process.user.uid, || Dir::open(root));
        let mut running = container.exec(&process, &joining)?;
        let pidfd = exec.pidfd_socket.as_deref();
        if let Err(error) = console::hand_over(&exec.console, pidfd, &mut running) {
            let _ = running.signal(9);
            let _ = running.wait();
            return Err(error);
        }
        Ok(running)
    }

    fn check_status(&self, exec: &Exec) -> Result<(), LifecycleError> {
        match Status::of(&self.directory, &self.record)? {
            Status::Paused if !exec.ignore_paused => Err(LifecycleError::ExecPaused),
            status @ Status::Stopped => Err(LifecycleError::NotRunning {
                action: "exec in",
                id: self.directory.id.to_string(),
                status,
            }),
            _ => Ok(()),
        }
    }
}
