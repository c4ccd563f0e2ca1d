//! Lowering of a sandbox to the list of kernel calls that its child makes.

mod files;
mod identity;
mod process;
mod step;

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use creel_spawn::Namespace;
use creel_sys::program::{Op, Program, Slot};
use rustix::pipe::{PipeFlags, pipe_with};

pub(crate) use files::is_place;
pub use step::Step;
pub(crate) use step::{Name, Part};

use crate::check::Caller;
use crate::error::SandboxError;
use crate::sandbox::{Change, Sandbox};

/// Slots for descriptors that one step hands to the next and nobody needs later.
#[derive(Clone, Copy)]
struct Scratch {
    place: Slot,
    source: Slot,
    made: Slot,
}

/// The kernel calls, and what each is for.
pub(crate) struct Script {
    pub(crate) program: Program,
    pub(crate) names: Vec<Name>,
    scratch: Scratch,
    /// Namespaces that the child is made with.
    pub(crate) flags: u64,
    /// How often it continues as another process.
    pub(crate) moves: usize,
    /// Where the supervisor tells how the program ended.
    pub(crate) status: Option<OwnedFd>,
}

impl Script {
    fn new() -> Self {
        let mut program = Program::default();
        let [place, source, made] = [program.slot(), program.slot(), program.slot()];
        let scratch = Scratch { place, source, made };
        let names = Vec::with_capacity(64);
        Self { program, names, scratch, flags: 0, moves: 0, status: None }
    }

    fn add(&mut self, name: Name, op: Op) {
        self.names.push(name);
        self.program.push(op);
    }

    fn give(&mut self, fd: &Arc<OwnedFd>) -> Slot {
        self.program.give(Arc::clone(fd))
    }
}

/// What the lowering knows.
struct Context<'a> {
    sandbox: &'a Sandbox,
    caller: Caller,
    /// Holds the host's procfs.
    procfs: Slot,
}

impl Context<'_> {
    /// Whether the child is in another user namespace than the caller.
    fn changes_user(&self) -> bool {
        self.caller.new_user || self.sandbox.namespaces.joined_user.is_some()
    }

    /// Whether a procfs of its own would show something else than the host's.
    fn changes_pid(&self) -> bool {
        let names = &self.sandbox.namespaces;
        names.pid || names.joined_pid.is_some()
    }

    /// Whether a root user is needed that owns the terminals' file system.
    fn has_dev(&self) -> bool {
        self.sandbox.changes.iter().any(|change| matches!(change, Change::Dev { .. }))
    }
}

pub(crate) fn lower(sandbox: &Sandbox, caller: Caller) -> Result<Script, SandboxError> {
    let mut script = Script::new();
    let procfs = script.program.slot();
    let context = Context { sandbox, caller, procfs };
    if sandbox.lifetime.inherits {
        script.program.inherit();
        sandbox.lifetime.withheld.iter().for_each(|number| script.program.withhold(*number));
    }
    context.lower_namespaces(&mut script);
    context.lower_first_identity(&mut script);
    script.add(Name::Fixed("empty the mask"), Op::ClearUmask);
    context.lower_files(&mut script)?;
    context.lower_second_identity(&mut script);
    context.lower_rights(&mut script);
    context.lower_program(&mut script)?;
    Ok(script)
}

/// A pipe of which the child gets the writing end.
fn status_pipe(script: &mut Script) -> Result<Slot, SandboxError> {
    let (read, write) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| SandboxError::Start(error.into()))?;
    script.status = Some(read);
    Ok(script.program.give(Arc::new(write)))
}

fn flag(kind: Namespace) -> i32 {
    kind as i32
}

fn encode(path: &Path) -> Result<CString, SandboxError> {
    Ok(CString::new(path.as_os_str().as_encoded_bytes())?)
}
