//! Programs of others that run while a process is made ready.

use std::ffi::{CString, NulError};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use creel_sys::program::{self, FailedHook, Op, Slot, Strings};
use rustix::fs::{MemfdFlags, memfd_create};

pub use creel_sys::program::HookEnd;

use crate::error::SpawnError;
use crate::lower::Steps;

/// What a filter kills with, on all architectures but MIPS and PA-RISC (signal(7)).
const SIGSYS: i32 = 31;

/// The most that is told of what a hook printed, in bytes.
const MAX_OUTPUT: u64 = 1024;

/// A program that runs to its end on the way to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What errors call it.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Arguments, the first being the name; if there are none, the path is that.
    pub argv: Vec<String>,
    /// Environment as `NAME=value`.
    pub env: Vec<String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// The hooks that a process runs itself. Each gets the state of its container as standard input: a
/// file that the caller writes while the process waits to begin.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// Run when all mounts are made, with the host's root still there.
    pub create: Vec<Hook>,
    /// Their input.
    pub creating: Arc<OwnedFd>,
    /// Run just before the program, with its root and credentials.
    pub start: Vec<Hook>,
    /// Their input.
    pub created: Arc<OwnedFd>,
}

/// The slots that hooks need until the program is executed.
pub(crate) struct Late<'a> {
    hooks: &'a [Hook],
    state: Slot,
    output: Slot,
}

impl Late<'_> {
    pub(crate) const fn slots(&self) -> [Slot; 2] {
        [self.state, self.output]
    }

    pub(crate) fn lower(&self, steps: &mut Steps) -> Result<(), SpawnError> {
        lower(self.hooks, self.state, self.output, steps)
    }
}

impl Hooks {
    /// Adds those that run with the host's root.
    pub(crate) fn lower_create(&self, steps: &mut Steps, root: Slot) -> Result<(), SpawnError> {
        if self.create.is_empty() {
            return Ok(());
        }
        steps.add("enter the root", Op::Visit(root));
        let (state, output) = (steps.program.give(Arc::clone(&self.creating)), output(steps)?);
        lower(&self.create, state, output, steps)
    }

    /// Prepares those that run just before the program.
    pub(crate) fn late(&self, steps: &mut Steps) -> Result<Option<Late<'_>>, SpawnError> {
        if self.start.is_empty() {
            return Ok(None);
        }
        let (state, output) = (steps.program.give(Arc::clone(&self.created)), output(steps)?);
        Ok(Some(Late { hooks: &self.start, state, output }))
    }
}

fn output(steps: &mut Steps) -> Result<Slot, SpawnError> {
    let file = memfd_create("output", MemfdFlags::CLOEXEC);
    let file = file.map_err(|error| SpawnError::Start(error.into()))?;
    Ok(steps.program.give(Arc::new(file)))
}

fn lower(hooks: &[Hook], state: Slot, output: Slot, steps: &mut Steps) -> Result<(), SpawnError> {
    for hook in hooks {
        let path = CString::new(hook.path.as_str())?;
        let argv = if hook.argv.is_empty() { std::slice::from_ref(&hook.path) } else { &hook.argv };
        let timeout =
            hook.timeout.map(|limit| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX));
        let (argv, env) = (strings(argv)?, strings(&hook.env)?);
        let op = Op::Hook(program::Hook { path, argv, env, state, output, timeout });
        steps.add(hook.name.clone(), op);
    }
    Ok(())
}

pub(crate) fn strings(list: &[String]) -> Result<Strings, NulError> {
    Ok(Strings::new(list.iter().map(|s| CString::new(s.as_str())).collect::<Result<_, _>>()?))
}

/// Why a hook did not do its work.
#[derive(Debug)]
pub struct HookError {
    /// How it ended.
    pub end: HookEnd,
    /// The beginning of what it printed.
    pub output: String,
}

impl HookError {
    /// With what was printed into a file.
    #[must_use]
    pub fn with_output(end: HookEnd, output: Option<OwnedFd>) -> Self {
        let output = output.and_then(|file| beginning(file).ok()).unwrap_or_default();
        Self { end, output }
    }
}

impl From<FailedHook> for HookError {
    fn from(FailedHook { end, output }: FailedHook) -> Self {
        Self::with_output(end, output)
    }
}

fn beginning(file: OwnedFd) -> io::Result<String> {
    let (mut file, mut text) = (File::from(file), Vec::new());
    file.rewind()?;
    file.take(MAX_OUTPUT).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            HookEnd::NotRun(error) => write!(f, "{error}")?,
            HookEnd::Exited(code) => write!(f, "exit status {code}")?,
            HookEnd::Killed(SIGSYS) => write!(f, "killed by signal {SIGSYS} (bad system call)")?,
            HookEnd::Killed(signal) => write!(f, "killed by signal {signal}")?,
            HookEnd::TimedOut => write!(f, "killed because it took longer than its timeout")?,
        }
        if self.output.is_empty() { Ok(()) } else { write!(f, ", having printed: {}", self.output) }
    }
}

impl std::error::Error for HookError {}
