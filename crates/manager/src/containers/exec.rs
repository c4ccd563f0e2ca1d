//! Further processes in a running container.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use creel_base::path::{Dir, PathError, Scope};
use creel_image::document::Execution;
use creel_image::process::{self, Overrides};
use creel_image::user::{self, User, UserError};
use creel_runtime::container::{self, Exec, Running as Child};
use creel_runtime::seccomp::Filter;
use creel_runtime::spec::{self, ConsoleSize};
use creel_spawn::Namespace;
use creel_spawn::cgroup::Cgroup;
use rustix::fs::OFlags;

use super::catalog::Container;
use super::cgroups;
use super::error::ContainerError;
use super::prepare::filter;
use super::record::{Process, Record, State};
use super::run_error::RunError;
use super::spec as specification;
use super::streams::{Pipes, Stdio, Streams};
use crate::{Engine, Privileges};

/// The choices for a further process.
#[derive(Clone, Debug)]
pub struct ExecOptions {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Environment variables set (`Some`) or removed (`None`), in order.
    pub env: Vec<(String, Option<String>)>,
    /// In place of the container's working directory.
    pub cwd: Option<String>,
    /// In place of the container's user.
    pub user: Option<String>,
    /// A terminal of its own, with rows and columns.
    pub terminal: Option<[u16; 2]>,
    /// It has all capabilities and may make all system calls.
    pub privileged: bool,
    /// Standard input, output and error where it has no terminal.
    pub stdio: Stdio,
}

/// A further process that runs.
#[derive(Debug)]
pub struct Started(Child, Pipes);

impl Engine {
    /// Starts a further process in a running container.
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`], and what keeps a process from being started.
    pub fn exec(&self, container: &Container, options: &ExecOptions) -> Result<Started, RunError> {
        let record = &container.record;
        let State::Running(running) = self.containers()?.state(container)? else {
            let state = self.containers()?.state(container)?.word();
            return Err(ContainerError::NotRunning { name: record.name.clone(), state }.into());
        };
        let process = process(record, running, options)?;
        let group = self.containers()?.group(container)?;
        let cgroup = cgroups::existing(record, group).map(Arc::new);
        let target = self.target(record, running, cgroup)?;
        let filter = if options.privileged { Filter::Unconfined } else { filter(record)? };
        let streams = Streams::make(options.stdio, process.terminal)?;
        if !has_own_ids(record) {
            streams.give(process.user.uid);
        }
        let (stdio, pipes) = streams.split();
        let exec = Exec { stdio, seccomp: filter, ..Exec::default() };
        Ok(Started(target.exec(&process, &exec)?, pipes))
    }

    fn target(
        &self,
        record: &Record,
        running: Process,
        cgroup: Option<Arc<Cgroup>>,
    ) -> Result<container::Container, RunError> {
        let mut namespaces = Namespace::ROOT.to_vec();
        if record.policy.host_network {
            namespaces.retain(|namespace| *namespace != Namespace::Network);
        }
        if has_own_ids(record) || self.privileges() != Privileges::Whole {
            namespaces.push(Namespace::User);
        }
        let denied = self.privileges() == Privileges::Namespace { setgroups_denied: true }
            && single_id(running.pid);
        Ok(container::Container::open(running.identity(), namespaces, denied, cgroup)?)
    }
}

fn has_own_ids(record: &Record) -> bool {
    record.spec.linux.as_ref().is_some_and(|linux| !linux.uid_mappings.is_empty())
}

/// Tells whether the user namespace of a process denies `setgroups`.
fn single_id(pid: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/setgroups"));
    text.is_ok_and(|text| text.trim() == "deny")
}

fn process(
    record: &Record,
    running: Process,
    options: &ExecOptions,
) -> Result<spec::Process, RunError> {
    let base = record.spec.process.clone().unwrap_or_default();
    // The container's own environment and directory stand for what an image gives.
    let like =
        Execution { env: base.env.clone(), working_dir: base.cwd.clone(), ..Execution::default() };
    let overrides = Overrides {
        command: options.command.clone(),
        env: options.env.clone(),
        cwd: options.cwd.clone(),
        ..Overrides::default()
    };
    let made = process::process(&like, &overrides)?;
    let user = options.user.as_deref().map(|name| look_up(name, running, record)).transpose()?;
    let user = user.map_or(base.user, |user| spec::User {
        uid: user.uid,
        gid: user.gid,
        umask: None,
        additional_gids: user.groups,
    });
    let capabilities = match options.privileged {
        true => Some(specification::all_capabilities()),
        false => base.capabilities.map(|sets| specification::for_user(sets, user.uid)),
    };
    Ok(spec::Process {
        terminal: options.terminal.is_some(),
        console_size: options
            .terminal
            .map(|[height, width]| ConsoleSize { height: height.into(), width: width.into() }),
        user,
        args: made.argv,
        env: made.env,
        cwd: made.cwd,
        capabilities,
        rlimits: base.rlimits,
        no_new_privileges: base.no_new_privileges && !options.privileged,
        ..spec::Process::default()
    })
}

/// Looks a user up in the container's own files as they are now.
fn look_up(name: &str, running: Process, record: &Record) -> Result<User, RunError> {
    let root = Dir::open(Path::new("/proc").join(running.pid.to_string()).join("root"))?;
    let passwd = read(&root, "etc/passwd")?;
    let group = read(&root, "etc/group")?;
    let nobody = |what, name| {
        let container = record.name.clone();
        RunError::NobodyCalled { container, what, name }
    };
    user::resolve(name, &passwd, &group).map_err(|error| match error {
        UserError::NoUser { name } => nobody("user", name),
        UserError::NoGroup { name } => nobody("group", name),
        other => other.into(),
    })
}

/// Reads a file of the container, whose links stay within its root. What is not there is empty.
fn read(root: &Dir, path: &str) -> Result<Vec<u8>, PathError> {
    use std::io::Read as _;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match root.open_within(path, Scope::InRoot, flags) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut content = Vec::new();
    // What is no file cannot be read, and names nobody.
    let _ = file.take(user::MAX_FILE).read_to_end(&mut content);
    Ok(content)
}

impl Started {
    /// Returns a descriptor that becomes readable when the process has ended.
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.0.pidfd()
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// [`RunError::Runtime`] if it has ended.
    pub fn signal(&self, number: i32) -> Result<(), RunError> {
        Ok(self.0.signal(number)?)
    }

    /// Takes the master of the process's terminal, if it has one.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.0.take_terminal()
    }

    /// Takes this process's ends of the pipes that stand for its own standard streams.
    pub fn take_pipes(&mut self) -> Pipes {
        std::mem::take(&mut self.1)
    }

    /// Waits for the end: the exit code, or 128 plus the signal.
    ///
    /// # Errors
    /// [`RunError::Runtime`].
    pub fn wait(self) -> Result<i32, RunError> {
        Ok(self.0.wait()?)
    }
}
