//! Lowering of the program and its credentials: what comes after the new root.

use std::ffi::{CString, NulError};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use creel_sys::program::{CapabilitySets, Op, Slot};

use crate::error::SpawnError;
use crate::hook::{Late, strings};
use crate::landlock::Prepared;
use crate::lower::Steps;
use crate::parent;
use crate::plan::{Process, Stdio};
use crate::seccomp::lower_filter;

const LOAD: &str = "load the system call filter";

/// What the program cannot undo: rules of Landlock and the system call filter, which comes last.
#[derive(Default)]
struct Locks {
    landlock: Option<Prepared>,
    filter: Option<Op>,
}

impl Locks {
    const fn is_none(&self) -> bool {
        self.landlock.is_none() && self.filter.is_none()
    }

    fn lower(self, steps: &mut Steps) {
        if let Some(landlock) = self.landlock {
            landlock.lower(steps);
        }
        if let Some(filter) = self.filter {
            steps.add(LOAD, filter);
        }
    }
}

/// Whether a user namespace allows `setgroups`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    Allowed,
    Denied,
    /// It is another's.
    Unknown,
}

pub(crate) fn lower_process(
    process: &Process,
    steps: &mut Steps,
    slave: Option<Slot>,
    (groups, hooks): (Groups, Option<Late<'_>>),
) -> Result<(), SpawnError> {
    process.tuning.lower_labels(steps)?;
    if !process.shares_keyring {
        steps.add("take a keyring of its own", Op::OwnKeyring);
    }
    steps.add("start a session", Op::NewSession);
    match (&process.stdio, slave) {
        (_, Some(slave)) => steps.add("take the terminal", Op::ControllingTerminal(slave)),
        (Stdio::Descriptors(fds), None) => {
            steps.program.descriptors([&fds[..], &process.preserved].concat());
        }
        _ => {}
    }
    if !process.preserved.is_empty() && !matches!(process.stdio, Stdio::Descriptors(_)) {
        // A terminal takes the place of the first three.
        let mut fds = standard()?;
        fds.extend(process.preserved.iter().cloned());
        steps.program.descriptors(fds);
    }
    process.tuning.lower(steps);
    // Nothing outside can be reached through `/proc/self/fd` from here on (CVE-2024-21626).
    let held = process.hold.as_ref().map(|socket| steps.program.give(Arc::clone(socket)));
    let mut landlock = match &process.landlock {
        Some(policy) => Prepared::new(policy, steps)?,
        None => None,
    };
    if let Some(landlock) = &mut landlock {
        landlock.lower_open(steps);
    }
    let late = hooks.iter().flat_map(Late::slots);
    let kept = held.into_iter().chain(late).chain(landlock.as_ref().map(Prepared::slot)).collect();
    steps.add("close descriptors", Op::CloseDescriptors(kept));
    for limit in &process.limits {
        steps.add(
            format!("set limit `{}`", limit.resource),
            Op::Limit(limit.resource, limit.values),
        );
    }
    let locks = Locks { landlock, filter: lower_filter(&process.seccomp)? };
    let none = Locks::default();
    // Without the promise they need a capability that is about to go.
    let (early, late) = if process.no_new_privileges { (none, locks) } else { (locks, none) };
    // Root may enter what the user cannot; and the other way round, as where a network file system knows
    // no root.
    let cwd = CString::new(process.cwd.as_str())?;
    let enter = format!("enter `{}`", process.cwd);
    steps.add(enter.clone(), Op::WorkingDirectoryEarly(cwd.clone()));
    // Waiting takes system calls of its own.
    let (hold_early, hold_late) = if early.is_none() { (None, held) } else { (held, None) };
    lower_hold(process, steps, hold_early)?;
    early.lower(steps);
    lower_credentials(process, steps, groups)?;
    steps.add(enter, Op::WorkingDirectory(cwd));
    steps.add("set the mask", Op::Umask(process.umask));
    if process.no_new_privileges {
        steps.add("forbid new privileges", Op::NoNewPrivileges);
    }
    lower_hold(process, steps, hold_late)?;
    late.lower(steps);
    // They are no more trusted than the program: they are of the container's root as well.
    if let Some(hooks) = hooks {
        hooks.lower(steps)?;
    }
    let execute = Op::Execute(paths(process)?, strings(&process.argv)?, strings(&process.env)?);
    steps.add_about_program(format!("execute one of {:?}", process.candidates), execute);
    Ok(())
}

fn standard() -> Result<Vec<Arc<OwnedFd>>, SpawnError> {
    let own = [io::stdin().as_fd().try_clone_to_owned(), io::stdout().as_fd().try_clone_to_owned()];
    let error = io::stderr().as_fd().try_clone_to_owned();
    let all = own.into_iter().chain([error]);
    all.map(|fd| fd.map(Arc::new)).collect::<Result<_, _>>().map_err(SpawnError::Start)
}

/// What a program that waits for its start is looked at for before: who made the container is told,
/// not who starts it.
fn lower_hold(
    process: &Process,
    steps: &mut Steps,
    listener: Option<Slot>,
) -> Result<(), SpawnError> {
    let Some(listener) = listener else { return Ok(()) };
    let find = Op::FindProgram(paths(process)?);
    steps.add_about_program(format!("find one of {:?}", process.candidates), find);
    steps.held_at = Some(steps.names.len());
    steps.add("wait for the start", Op::Hold(listener));
    Ok(())
}

fn paths(process: &Process) -> Result<Vec<CString>, NulError> {
    process.candidates.iter().map(|path| CString::new(path.as_str())).collect()
}

fn lower_credentials(
    process: &Process,
    steps: &mut Steps,
    groups: Groups,
) -> Result<(), SpawnError> {
    let capabilities = &process.capabilities;
    let last = parent::last_capability().map_err(SpawnError::ReadLastCapability)?;
    for cap in (0..=last).filter(|cap| !capabilities.bounding.contains(cap)) {
        steps.add(format!("drop capability `{cap}`"), Op::DropBounding(cap));
    }
    steps.add("keep capabilities", Op::KeepCapabilities);
    // With `setgroups` denied (single id map) the call would fail even for no groups.
    if groups == Groups::Unknown && process.groups.is_empty() {
        steps.add("drop the groups", Op::DropGroups);
    } else if groups != Groups::Denied && !process.setgroups_denied {
        steps.add("set the groups", Op::Groups(process.groups.clone()));
    }
    steps.add("set the group", Op::Group(process.gid));
    steps.add("set the user", Op::User(process.uid));
    let sets = CapabilitySets {
        effective: bits(&capabilities.effective),
        permitted: bits(&capabilities.permitted),
        // The kernel refuses others (`cap_capset`, security/commoncap.c).
        inheritable: bits(&capabilities.inheritable) & bits(&capabilities.bounding),
    };
    steps.add("set capabilities", Op::Capabilities(sets));
    for cap in &capabilities.ambient {
        steps.add(format!("raise capability `{cap}`"), Op::RaiseAmbient(*cap));
    }
    Ok(())
}

fn bits(list: &[u32]) -> u64 {
    list.iter().fold(0, |set, cap| set | 1u64.checked_shl(*cap).unwrap_or(0))
}
