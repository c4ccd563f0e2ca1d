//! Hooks: those that this process runs, and what those get that the container runs.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

use creel_spawn::{Hook, HookEnd, HookError, SpawnError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};

use super::error::LifecycleError;
use super::id::ContainerId;
use crate::lower::{LowerError, lower_hooks};
use crate::spec::{Spec, State, Status, VERSION};

/// The hooks of a container, checked.
#[derive(Debug)]
pub(super) struct Hooks {
    prestart: Vec<Hook>,
    create_runtime: Vec<Hook>,
    create_container: Vec<Hook>,
    start_container: Vec<Hook>,
    poststart: Vec<Hook>,
    poststop: Vec<Hook>,
    state: State,
}

/// The files by which hooks that the container runs get its state.
#[derive(Debug)]
pub(super) struct Files {
    creating: Arc<OwnedFd>,
    created: Arc<OwnedFd>,
}

impl Hooks {
    /// Those of a specification; none if it has none.
    pub(super) fn of(
        id: &ContainerId,
        bundle: &Path,
        spec: &Spec,
    ) -> Result<Option<Self>, LowerError> {
        let Some(hooks) = &spec.hooks else { return Ok(None) };
        let state = State {
            oci_version: VERSION.into(),
            id: id.to_string(),
            status: Status::Creating,
            pid: None,
            bundle: bundle.into(),
            annotations: spec.annotations.clone(),
        };
        let lowered = hooks.by_moment().map(|(moment, hooks)| lower_hooks(moment, hooks));
        let [prestart, create_runtime, create_container, start_container, poststart, poststop] =
            lowered;
        Ok(Some(Self {
            prestart: prestart?,
            create_runtime: create_runtime?,
            create_container: create_container?,
            start_container: start_container?,
            poststart: poststart?,
            poststop: poststop?,
            state,
        }))
    }

    /// What the container runs itself.
    pub(super) fn inside(&self) -> io::Result<Option<(creel_spawn::Hooks, Files)>> {
        if self.create_container.is_empty() && self.start_container.is_empty() {
            return Ok(None);
        }
        let file = || Ok::<_, io::Error>(Arc::new(memfd_create("state", MemfdFlags::CLOEXEC)?));
        let files = Files { creating: file()?, created: file()? };
        let hooks = creel_spawn::Hooks {
            create: self.create_container.clone(),
            creating: Arc::clone(&files.creating),
            start: self.start_container.clone(),
            created: Arc::clone(&files.created),
        };
        Ok(Some((hooks, files)))
    }

    /// Whether some are run by this process before the container leaves the host's root.
    pub(super) fn run_while_made(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty()
    }

    /// Writes the state for those that the container runs.
    pub(super) fn tell(&self, files: &Files, pid: i32) -> io::Result<()> {
        let files = [(&files.creating, Status::Creating), (&files.created, Status::Created)];
        for (file, status) in files {
            let mut file = File::from(file.try_clone()?);
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&self.state_of(status, Some(pid))?)?;
        }
        Ok(())
    }

    fn state_of(&self, status: Status, pid: Option<i32>) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&State { status, pid, ..self.state.clone() })?)
    }

    /// Runs `prestart` and `createRuntime`.
    pub(super) fn run_made(&self, pid: i32) -> Result<(), LifecycleError> {
        self.run(&self.prestart, Status::Creating, Some(pid))?;
        self.run(&self.create_runtime, Status::Creating, Some(pid))
    }

    /// Runs `poststart`.
    pub(super) fn run_started(&self, pid: i32) -> Result<(), LifecycleError> {
        self.run(&self.poststart, Status::Running, Some(pid))
    }

    /// Runs `poststop`: all of them, and returns what failed.
    pub(super) fn run_stopped(&self) -> Vec<LifecycleError> {
        let run = |hook: &Hook| self.run(std::slice::from_ref(hook), Status::Stopped, None);
        self.poststop.iter().filter_map(|hook| run(hook).err()).collect()
    }

    fn run(&self, hooks: &[Hook], status: Status, pid: Option<i32>) -> Result<(), LifecycleError> {
        for hook in hooks {
            let state = self.state_of(status, pid);
            let ran =
                state.map_err(not_run).and_then(|state| run(hook, &state, &self.state.bundle));
            if let Err(source) = ran {
                return Err(SpawnError::Hook { hook: hook.name.clone(), source }.into());
            }
        }
        Ok(())
    }
}

fn not_run(error: io::Error) -> HookError {
    HookError { end: HookEnd::NotRun(error), output: String::new() }
}

/// Runs a hook to its end, in the directory of the bundle. Its input and outputs are files: nobody has
/// to read or write while it runs, or waits for a process that it leaves.
fn run(hook: &Hook, state: &[u8], bundle: &Path) -> Result<(), HookError> {
    let (mut child, output) = start(hook, state, bundle).map_err(not_run)?;
    let ended = wait(&mut child, hook).map_err(not_run)?;
    let end = match ended {
        None => HookEnd::TimedOut,
        Some(status) if status.success() => return Ok(()),
        Some(status) => status
            .code()
            .map_or_else(|| HookEnd::Killed(status.signal().unwrap_or(0)), HookEnd::Exited),
    };
    Err(HookError::with_output(end, Some(output)))
}

fn start(hook: &Hook, state: &[u8], bundle: &Path) -> io::Result<(Child, OwnedFd)> {
    let file = || Ok::<_, io::Error>(File::from(memfd_create("hook", MemfdFlags::CLOEXEC)?));
    let (mut input, output) = (file()?, file()?);
    input.write_all(state)?;
    input.rewind()?;
    let variables = hook.env.iter().filter_map(|variable| variable.split_once('='));
    let mut command = Command::new(&hook.path);
    command.env_clear().envs(variables).current_dir(bundle);
    if let Some((name, arguments)) = hook.argv.split_first() {
        command.arg0(name).args(arguments);
    }
    command.stdin(input).stdout(output.try_clone()?).stderr(output.try_clone()?);
    Ok((command.spawn()?, output.into()))
}

/// Waits for a hook; one that takes too long is killed, which is no status.
fn wait(child: &mut Child, hook: &Hook) -> io::Result<Option<ExitStatus>> {
    let Some(limit) = hook.timeout else { return child.wait().map(Some) };
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let process = creel_spawn::open_process(pid)?;
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    let mut events = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    // A signal that comes meanwhile ends neither.
    let ended = loop {
        match poll(&mut events, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => {}
            ended => break ended?,
        }
    };
    if ended == 0 {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    }
    child.wait().map(Some)
}
