//! Lowering of a plan to the list of kernel calls, and its start.

use std::ffi::{CString, NulError};
use std::io;

use creel_sys::program::{
    Attributes, CapabilitySets, Depth, Failure, Kind, NewFileSystem, Op, Program, Running, Slot,
    Strings, Terminal,
};

use crate::error::SpawnError;
use crate::mount::{
    READ_ONLY, lower_bound_device, lower_mount, lower_node, open_dev, single_name, target_parts,
};
use crate::parent;
use crate::plan::{Namespace, Plan, Process, Stdio};

/// A started process.
pub type Child = Running;

#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) program: Program,
    pub(crate) names: Vec<String>,
}

impl Steps {
    pub(crate) fn add(&mut self, name: impl Into<String>, op: Op) {
        self.names.push(name.into());
        self.program.push(op);
    }

    pub(crate) fn slot(&mut self) -> Slot {
        self.program.slot()
    }

    pub(crate) fn explain(&self, failure: Failure, process: &Process) -> SpawnError {
        match failure {
            Failure::Parent(source) => SpawnError::Start(source),
            Failure::Child(index, source) if index + 1 == self.names.len() => SpawnError::Execute {
                program: process.argv.first().cloned().unwrap_or_default(),
                source,
            },
            Failure::Child(index, source) => SpawnError::Step {
                step: self.names.get(index).map_or("arrange descriptors", |s| s).into(),
                source,
            },
        }
    }
}

impl Plan {
    /// Starts the process and returns once it executes its program.
    ///
    /// # Errors
    /// Names the step that failed; no process remains then.
    pub fn spawn(&self) -> Result<Child, SpawnError> {
        if !self.namespaces.contains(&Namespace::Mount) {
            return Err(SpawnError::NoMountNamespace);
        }
        let steps = self.lower()?;
        let flags = self.namespaces.iter().fold(0, |flags, one| flags | *one as u64);
        let cgroup = self.cgroup.as_deref();
        let set_up = |pid| parent::set_up(self, pid);
        let started = steps.program.start(flags, cgroup, set_up);
        started.map_err(|failure| steps.explain(failure, &self.process))
    }

    pub(crate) fn lower(&self) -> Result<Steps, SpawnError> {
        let mut steps = Steps::default();
        steps.add("wait for the parent", Op::WaitForParent);
        steps.add("forbid inspection", Op::NotDumpable);
        steps.add("clear the mask", Op::Umask(0));
        let slave = self.lower_root(&mut steps)?;
        if let Some(name) = &self.hostname {
            steps.add("set the host name", Op::Hostname(CString::new(name.as_str())?));
        }
        lower_process(&self.process, &mut steps, slave, self.denies_setgroups())?;
        Ok(steps)
    }

    /// Returns the slot of the terminal, if there is one.
    fn lower_root(&self, steps: &mut Steps) -> Result<Option<Slot>, SpawnError> {
        let (place, root) = (steps.slot(), steps.slot());
        let path = CString::new(self.root.as_os_str().as_encoded_bytes())?;
        steps.add("make mounts private", Op::PrivateMounts);
        steps.add(format!("open the root `{}`", self.root.display()), Op::OpenHost(path, place));
        steps.add("clone the root", Op::CloneTree(place, Depth::All, root));
        steps.add("attach the root", Op::Attach(root, place));
        for mount in &self.mounts {
            lower_mount(steps, root, mount)?;
        }
        self.lower_dev(steps, root)?;
        self.lower_sysctls(steps)?;
        let slave = self.lower_terminal(steps, root)?;
        steps.add(
            "create the working directory",
            Op::Ensure(root, target_parts(&self.process.cwd, Kind::Directory)?, place),
        );
        self.lower_protection(steps, root)?;
        steps.add("change the root", Op::PivotRoot(root));
        Ok(slave)
    }

    fn lower_dev(&self, steps: &mut Steps, root: Slot) -> Result<(), SpawnError> {
        if self.devices.is_empty() && self.links.is_empty() {
            return Ok(());
        }
        let dev = open_dev(steps, root);
        for device in &self.devices {
            if self.namespaces.contains(&Namespace::User) {
                lower_bound_device(steps, root, device)?;
            } else {
                lower_node(steps, dev, device)?;
            }
        }
        for (name, text) in &self.links {
            let link = Op::Link(CString::new(text.as_str())?, dev, single_name(name)?);
            steps.add(format!("link `{name}`"), link);
        }
        Ok(())
    }

    /// Kernel parameters are written through an own procfs that nothing is mounted on
    /// (CVE-2025-52881).
    fn lower_sysctls(&self, steps: &mut Steps) -> Result<(), SpawnError> {
        if self.sysctls.is_empty() {
            return Ok(());
        }
        let procfs = steps.slot();
        let system = NewFileSystem { kind: c"proc".into(), options: Vec::new(), attributes: 0 };
        steps.add("make an own procfs", Op::NewMount(system, procfs));
        for (name, value) in &self.sysctls {
            target_parts(name, Kind::File)?;
            let path = CString::new(format!("sys/{name}"))?;
            let write = Op::Write(procfs, path, value.clone().into_bytes());
            steps.add(format!("set the kernel parameter `{name}`"), write);
        }
        Ok(())
    }

    fn lower_terminal(&self, steps: &mut Steps, root: Slot) -> Result<Option<Slot>, SpawnError> {
        let Stdio::Terminal(size) = self.process.stdio else { return Ok(None) };
        let socket = steps.program.terminal_socket().map_err(SpawnError::Start)?;
        let (slave, console, place) = (steps.slot(), steps.slot(), steps.slot());
        let terminal = Terminal { root, socket, slave, uid: self.process.uid, size };
        steps.add("make the terminal", Op::Terminal(terminal));
        steps.add("clone the terminal", Op::CloneTree(slave, Depth::One, console));
        let target = target_parts("dev/console", Kind::File)?;
        steps.add("create `/dev/console`", Op::Ensure(root, target, place));
        steps.add("mount `/dev/console`", Op::Attach(console, place));
        Ok(Some(slave))
    }

    fn lower_protection(&self, steps: &mut Steps, root: Slot) -> Result<(), SpawnError> {
        for path in &self.read_only {
            let op = Op::ReadOnly(root, CString::new(path.as_str())?);
            steps.add(format!("make `{path}` read-only"), op);
        }
        if !self.masked.is_empty() {
            let (null, empty) = (steps.slot(), steps.slot());
            steps.add("open `/dev/null`", Op::OpenHost(c"/dev/null".into(), null));
            steps.add("verify `/dev/null`", Op::CheckDevice(null, 1, 3));
            for path in &self.masked {
                let op = Op::Mask(root, CString::new(path.as_str())?, null, empty);
                steps.add(format!("mask `{path}`"), op);
            }
        }
        if self.read_only_root {
            let set = Attributes { set: READ_ONLY.into(), ..Attributes::default() };
            steps.add("make the root read-only", Op::SetAttributes(root, Depth::One, set));
        }
        Ok(())
    }

    pub(crate) fn denies_setgroups(&self) -> bool {
        self.namespaces.contains(&Namespace::User)
            && matches!(self.gids.as_slice(), [map] if map.count == 1)
    }
}

pub(crate) fn lower_process(
    process: &Process,
    steps: &mut Steps,
    slave: Option<Slot>,
    denies_setgroups: bool,
) -> Result<(), SpawnError> {
    steps.add("start a session", Op::NewSession);
    match (&process.stdio, slave) {
        (_, Some(slave)) => steps.add("take the terminal", Op::ControllingTerminal(slave)),
        (Stdio::Descriptors(fds), None) => steps.program.descriptors(fds.clone()),
        _ => {}
    }
    // Nothing outside can be reached through `/proc/self/fd` from here on (CVE-2024-21626).
    steps.add("close descriptors", Op::CloseDescriptors);
    for limit in &process.limits {
        steps.add(
            format!("set limit `{}`", limit.resource),
            Op::Limit(limit.resource, limit.values),
        );
    }
    let filter: Vec<_> =
        process.seccomp.iter().map(|(code, jt, jf, k)| filter(*code, *jt, *jf, *k)).collect();
    // Without the promise the filter needs a capability that is about to go.
    let (early, late) =
        if process.no_new_privileges { (Vec::new(), filter) } else { (filter, Vec::new()) };
    if !early.is_empty() {
        steps.add("load the system call filter", Op::Seccomp(early));
    }
    lower_credentials(process, steps, denies_setgroups)?;
    let cwd = CString::new(process.cwd.as_str())?;
    steps.add(format!("enter `{}`", process.cwd), Op::WorkingDirectory(cwd));
    steps.add("set the mask", Op::Umask(process.umask));
    if process.no_new_privileges {
        steps.add("forbid new privileges", Op::NoNewPrivileges);
    }
    if !late.is_empty() {
        steps.add("load the system call filter", Op::Seccomp(late));
    }
    let paths = process.candidates.iter().map(|path| CString::new(path.as_str()));
    let paths = paths.collect::<Result<_, _>>()?;
    let execute = Op::Execute(paths, strings(&process.argv)?, strings(&process.env)?);
    steps.add(format!("execute one of {:?}", process.candidates), execute);
    Ok(())
}

fn filter(code: u16, jt: u8, jf: u8, k: u32) -> creel_sys::program::Filter {
    creel_sys::program::Filter { code, jt, jf, k }
}

fn lower_credentials(
    process: &Process,
    steps: &mut Steps,
    denies_setgroups: bool,
) -> Result<(), SpawnError> {
    let capabilities = &process.capabilities;
    let last = parent::last_capability().map_err(SpawnError::ReadLastCapability)?;
    for cap in (0..=last).filter(|cap| !capabilities.bounding.contains(cap)) {
        steps.add(format!("drop capability `{cap}`"), Op::DropBounding(cap));
    }
    steps.add("keep capabilities", Op::KeepCapabilities);
    // With `setgroups` denied (single id map) the call would fail even for no groups.
    if !denies_setgroups {
        steps.add("set the groups", Op::Groups(process.groups.clone()));
    }
    steps.add("set the group", Op::Group(process.gid));
    steps.add("set the user", Op::User(process.uid));
    let sets = CapabilitySets {
        effective: bits(&capabilities.effective),
        permitted: bits(&capabilities.permitted),
        inheritable: bits(&capabilities.inheritable),
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

fn strings(list: &[String]) -> Result<Strings, NulError> {
    Ok(Strings::new(list.iter().map(|s| CString::new(s.as_str())).collect::<Result<_, _>>()?))
}

/// Reports an invalid value of the plan found while the parent sets the child up.
pub(crate) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
