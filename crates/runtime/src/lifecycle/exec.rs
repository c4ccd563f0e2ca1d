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
use super::start::open;
use super::state::Status;
use super::supervision::supervision;
use crate::container::{self, Running};
use crate::seccomp::Filter;
use crate::spec::{self, Process};

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

impl Runtime {
    /// The specification of a container's first process, for others like it.
    ///
    /// # Errors
    /// [`LifecycleError::NoContainer`].
    pub fn process(&self, id: &ContainerId) -> Result<Process, LifecycleError> {
        let record = Directory::open(&self.root, id)?.record()?;
        Ok(record.spec()?.process.unwrap_or_default())
    }

    /// Starts a further process in a container, and returns once it executes its program.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`] if it is stopped, [`LifecycleError::ExecPaused`]; or names the property that is wrong or the
    /// step that failed, and no process remains then.
    pub fn exec(
        &self,
        id: &ContainerId,
        process: &Process,
        exec: &Exec,
    ) -> Result<Running, LifecycleError> {
        check_console(Some(process), &exec.console)?;
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        let status = Status::of(&directory, &record)?;
        if status == Status::Paused && !exec.ignore_paused {
            return Err(LifecycleError::ExecPaused);
        }
        if status == Status::Stopped {
            return Err(LifecycleError::NotRunning {
                action: "exec in",
                id: id.to_string(),
                status,
            });
        }
        if let Some(warn) = exec.warn {
            warn_of_capabilities(process, warn);
        }
        let first = (record.process.pid, spec::Status::Running);
        let spec = record.spec()?;
        let joining = container::Exec {
            stdio: exec.stdio.clone(),
            line_ends: exec.console.line_ends(),
            preserved: exec.preserved.clone(),
            linux: spec.linux.clone().unwrap_or_default(),
            seccomp: Filter::Specified,
            supervisor: supervision(&directory, &record.bundle, &spec, Some(first)),
        };
        let mut container = open(&record, &spec)?;
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
}
