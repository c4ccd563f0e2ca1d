//! Lowering of a plan to the list of kernel calls, and its start.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use creel_sys::program::{
    Attributes, Depth, Failure, Kind, Listen, Moment, NewFileSystem, Op, Program, Running, Slot,
    Terminal, nobody,
};

use crate::cgroup::Cgroup;
use crate::device::{DeviceKind, lower_device, open_dev, single_name};
use crate::error::SpawnError;
use crate::held::Rest;
use crate::mapped::MappedMounts;
use crate::mount::{READ_ONLY, lower_connected, lower_mount, lower_others, target};
use crate::parent;
use crate::plan::{IdMap, Namespace, Plan, Process, Stdio};
use crate::process::{Groups, lower_process};
use crate::root::{lower_change, lower_root};

/// What a process waits for while it is made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// To begin, or to go on as another process; what it does after its start ([`Process::hold`]).
    ToBegin(Rest),
    /// Whatever the caller does when all is made ([`Plan::waits_made`]).
    WithAllMade,
}

/// A started process.
pub type Child = Running;

/// Slots for descriptors that one step hands to the next and nobody needs later.
pub(crate) struct Scratch {
    pub(crate) place: Slot,
    pub(crate) source: Slot,
    pub(crate) made: Slot,
}

pub(crate) struct Steps {
    pub(crate) program: Program,
    pub(crate) names: Vec<String>,
    pub(crate) scratch: Scratch,
    /// The steps that fail when the program cannot be executed.
    about_program: Vec<usize>,
    /// The step that waits for the start, if one does.
    pub(crate) held_at: Option<usize>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        let mut program = Program::default();
        let [place, source, made] = [program.slot(), program.slot(), program.slot()];
        let scratch = Scratch { place, source, made };
        Self { program, names: Vec::new(), scratch, about_program: Vec::new(), held_at: None }
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, op: Op) {
        self.names.push(name.into());
        self.program.push(op);
    }

    pub(crate) fn add_about_program(&mut self, name: String, op: Op) {
        self.about_program.push(self.names.len());
        self.add(name, op);
    }

    pub(crate) fn slot(&mut self) -> Slot {
        self.program.slot()
    }

    /// Moves the process into a group of version 1. That comes before anything that takes away the
    /// right to do so or sight of the group.
    pub(crate) fn enter(&mut self, cgroup: Option<&Cgroup>) -> Result<(), SpawnError> {
        let Some(group) = cgroup else { return Ok(()) };
        for (controller, tasks) in group.controllers().iter().zip(group.entrances()?) {
            let tasks = self.program.give(Arc::new(tasks));
            self.add(format!("enter the control group in `{controller}`"), Op::EnterCgroup(tasks));
        }
        Ok(())
    }

    /// Moves the process into its class of caches and memory bandwidth.
    pub(crate) fn enter_class(&mut self, files: &[Arc<OwnedFd>]) {
        for tasks in files {
            let tasks = self.program.give(Arc::clone(tasks));
            self.add("enter the class of service", Op::EnterCgroup(tasks));
        }
    }

    pub(crate) fn explain(&self, failure: Failure, process: &Process) -> SpawnError {
        match failure {
            Failure::Parent(source) => SpawnError::Start(source),
            Failure::Listener(source) => SpawnError::Listener(source),
            Failure::Hook(index, failed) => SpawnError::Hook {
                hook: self.names.get(index).cloned().unwrap_or_default(),
                source: failed.into(),
            },
            Failure::Child(index, source) if self.about_program.contains(&index) => {
                SpawnError::Execute {
                    program: process.argv.first().cloned().unwrap_or_default(),
                    source,
                }
            }
            Failure::Child(index, source) | Failure::Obstructed(index, source, _) => {
                SpawnError::Step {
                    step: self.names.get(index).map_or("arrange descriptors", |s| s).into(),
                    source,
                }
            }
        }
    }
}

/// What has been taken from the host: the root, and clones of mounts by the mounts' indexes.
struct Host {
    root: Slot,
    clones: BTreeMap<usize, Slot>,
}

impl Plan {
    /// Starts the process and returns once it executes its program.
    ///
    /// # Errors
    /// Names the step that failed; no process remains then.
    pub fn spawn(&self) -> Result<Child, SpawnError> {
        self.spawn_announced(|_| Ok(()))
    }

    /// Does what [`Plan::spawn`] does, and calls `announce` with the process id while the process
    /// still waits to begin. It ends without having done anything if this process ends until then.
    ///
    /// # Errors
    /// As [`Plan::spawn`], and [`SpawnError::Start`] where `announce` fails.
    pub fn spawn_announced(
        &self,
        announce: impl FnMut(i32) -> io::Result<()>,
    ) -> Result<Child, SpawnError> {
        if self.process.seccomp.listens {
            return Err(SpawnError::NoListener);
        }
        self.spawn_listening(announce, &mut nobody)
    }

    /// Does what [`Plan::spawn_announced`] does; `listen` gets the listener of the filter.
    ///
    /// # Errors
    /// As [`Plan::spawn_announced`], and [`SpawnError::Listener`] where `listen` fails.
    pub fn spawn_listening(
        &self,
        mut announce: impl FnMut(i32) -> io::Result<()>,
        listen: Listen<'_>,
    ) -> Result<Child, SpawnError> {
        let begins = |wait: Wait| matches!(wait, Wait::ToBegin(_));
        self.spawn_held(|pid, wait| if begins(wait) { announce(pid) } else { Ok(()) }, listen)
    }

    /// Starts the process and returns once it waits on the socket of its plan
    /// ([`Process::hold`]), or executes its program if there is none. `attend` is called with the
    /// process id whenever the process waits; `listen` gets the listener
    /// of the filter, unless that is loaded after the wait ([`Rest::release`]).
    ///
    /// # Errors
    /// Names the step that failed; no process remains then.
    pub fn spawn_held(
        &self,
        mut attend: impl FnMut(i32, Wait) -> io::Result<()>,
        listen: Listen<'_>,
    ) -> Result<Child, SpawnError> {
        if !self.makes(Namespace::Mount) && !self.joins(Namespace::Mount) {
            return Err(SpawnError::NoMountNamespace);
        }
        let steps = self.lower(&MappedMounts::make(self)?)?;
        let cgroup = self.cgroup.as_ref().map(|group| group.open()).transpose()?.flatten();
        let mut attend = |pid, moment| {
            parent::attend(self, pid, moment)?;
            match moment {
                Moment::Begun | Moment::Moved => {
                    attend(pid, Wait::ToBegin(Rest::of(&steps, &self.process)))
                }
                Moment::Made => attend(pid, Wait::WithAllMade),
                Moment::Unmapped => Ok(()),
            }
        };
        let flags = self.clone_flags();
        let started = steps.program.start_attended(flags, cgroup.as_ref(), &mut attend, listen);
        started.map_err(|failure| match parent::unreachable(self.cgroup.as_deref(), &failure) {
            Some(error) => error.into(),
            None => steps.explain(failure, &self.process),
        })
    }

    pub(crate) fn lower(&self, mapped: &MappedMounts) -> Result<Steps, SpawnError> {
        let mut steps = Steps::new();
        steps.add("wait for the parent", Op::WaitForParent);
        steps.enter(self.cgroup.as_deref())?;
        steps.enter_class(&self.resctrl);
        self.lower_namespaces(&mut steps);
        let host = self.lower_host(&mut steps)?;
        self.lower_identity(&mut steps);
        steps.add("forbid inspection", Op::NotDumpable);
        steps.add("clear the mask", Op::Umask(0));
        if self.clone_flags() & Namespace::Cgroup as u64 == 0 && self.makes(Namespace::Cgroup) {
            let unshare = Op::Unshare(Namespace::Cgroup as i32);
            steps.add("make the control group namespace", unshare);
        }
        let slave = self.lower_root(&mut steps, host, mapped)?;
        if let Some(name) = &self.hostname {
            steps.add("set the host name", Op::Hostname(CString::new(name.as_str())?));
        }
        if let Some(name) = &self.domainname {
            steps.add("set the domain name", Op::Domainname(CString::new(name.as_str())?));
        }
        let hooks = self.hooks.as_ref().map(|hooks| hooks.late(&mut steps)).transpose()?.flatten();
        lower_process(&self.process, &mut steps, slave, (self.groups(), hooks))?;
        Ok(steps)
    }

    /// What is taken from the host before the process becomes root in a new user namespace: as that
    /// root it may go where the container's own ids may, and the caller's directories are closed to
    /// them.
    ///
    /// An overlay is made by that root instead, which its files then belong to.
    fn lower_host(&self, steps: &mut Steps) -> Result<Option<Host>, SpawnError> {
        if !self.changes_user() || !self.root.is_directory() {
            return Ok(None);
        }
        let mut clones = lower_connected(steps, &self.mounts)?;
        self.lower_private(steps);
        let root = lower_root(steps, &self.root)?;
        lower_others(steps, &self.mounts, &mut clones)?;
        Ok(Some(Host { root, clones }))
    }

    /// In another user namespace the process has the caller's ids until it takes others, and those may
    /// be none of the namespace's: what it makes could then belong to nobody.
    fn lower_identity(&self, steps: &mut Steps) {
        // Of one that is joined the ids are not known here.
        let joined = self.joins(Namespace::User);
        let has_root = |maps: &[IdMap]| joined || maps.iter().any(|map| map.inside == 0);
        if !self.changes_user() {
            return;
        }
        if has_root(&self.gids) {
            steps.add("become the root group", Op::Group(0));
        }
        if has_root(&self.uids) {
            steps.add("become root", Op::User(0));
        }
    }

    /// Returns the slot of the terminal, if there is one.
    fn lower_root(
        &self,
        steps: &mut Steps,
        host: Option<Host>,
        mapped: &MappedMounts,
    ) -> Result<Option<Slot>, SpawnError> {
        let Host { root, mut clones } = match host {
            Some(host) => host,
            None => {
                let clones = lower_connected(steps, &self.mounts)?;
                self.lower_private(steps);
                Host { root: lower_root(steps, &self.root)?, clones }
            }
        };
        mapped.give(steps, &mut clones);
        let mut late = Vec::new();
        for (index, mount) in self.mounts.iter().enumerate() {
            let later = self.mounts.get(index + 1..).unwrap_or_default();
            late.extend(lower_mount(steps, root, mount, clones.get(&index).copied(), later)?);
        }
        self.lower_dev(steps, root)?;
        let slave = self.lower_terminal(steps, root)?;
        for (target, made) in late {
            let set = Attributes { set: READ_ONLY.into(), ..Attributes::default() };
            let op = Op::SetAttributes(made, Depth::One, set);
            steps.add(format!("make `{target}` read-only"), op);
        }
        self.lower_sysctls(steps)?;
        steps.add(
            "create the working directory",
            Op::Ensure(root, target(&self.process.cwd, Kind::Directory)?, steps.scratch.place),
        );
        self.lower_protection(steps, root)?;
        if self.waits_made {
            steps.add("wait with all made", Op::Meet(Moment::Made));
        }
        if let Some(hooks) = &self.hooks {
            hooks.lower_create(steps, root)?;
        }
        // An overlay has no mounts of the host below it.
        let path = self.root.path().unwrap_or_else(|| Path::new("//"));
        if self.joins(Namespace::Mount) {
            steps.add("change the root", Op::ChangeRoot(root));
        } else {
            lower_change(steps, self.root_change, path, root)?;
        }
        // Only now: a shared one cannot become the root.
        if let Some((propagation, depth)) = self.propagation {
            let set = Attributes { propagation: propagation as u64, ..Attributes::default() };
            let op = Op::SetAttributes(root, depth, set);
            steps.add("set the propagation of the root", op);
        }
        Ok(slave)
    }

    /// Whatever the propagation: the host must not get what is mounted in the root. A mount namespace of
    /// others is left as it is.
    fn lower_private(&self, steps: &mut Steps) {
        if self.makes(Namespace::Mount) {
            steps.add("make mounts private", Op::PrivateMounts);
        }
    }

    fn lower_dev(&self, steps: &mut Steps, root: Slot) -> Result<(), SpawnError> {
        if self.devices.is_empty() && self.links.is_empty() {
            return Ok(());
        }
        let mounted = self.mounts.iter().any(|mount| mount.target.trim_matches('/') == "dev");
        let dev = open_dev(steps, root, mounted)?;
        let bound = self.bind_devices || self.changes_user();
        for device in &self.devices {
            // Anybody makes a pipe.
            let bound = bound && device.kind != DeviceKind::Pipe;
            lower_device(steps, root, dev, device, bound)?;
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
        let (options, stand_in) = (Vec::new(), None);
        let system = NewFileSystem { kind: c"proc".into(), options, attributes: 0, stand_in };
        steps.add("make an own procfs", Op::NewMount(system, procfs));
        for (name, value) in &self.sysctls {
            target(name, Kind::File)?;
            let path = CString::new(format!("sys/{name}"))?;
            let write = Op::Write(procfs, path, value.clone().into_bytes());
            steps.add(format!("set the kernel parameter `{name}`"), write);
        }
        Ok(())
    }

    fn lower_terminal(&self, steps: &mut Steps, root: Slot) -> Result<Option<Slot>, SpawnError> {
        let Some(slave) = lower_terminal(&self.process, steps, root)? else { return Ok(None) };
        let (console, place) = (steps.scratch.made, steps.scratch.place);
        steps.add("clone the terminal", Op::CloneTree(slave, Depth::One, console));
        let console_path = target("dev/console", Kind::File)?;
        steps.add("create `/dev/console`", Op::Ensure(root, console_path, place));
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

    fn groups(&self) -> Groups {
        match (self.denies_setgroups(), self.joins(Namespace::User)) {
            (true, _) => Groups::Denied,
            (false, true) => Groups::Unknown,
            (false, false) => Groups::Allowed,
        }
    }

    /// Whether the new user namespace denies `setgroups`.
    pub(crate) fn denies_setgroups(&self) -> bool {
        self.namespaces.contains(&Namespace::User)
            && matches!(self.gids.as_slice(), [map] if map.count == 1)
    }
}

/// Makes the terminal, if there is to be one, in the devpts below the root; returns its slot.
pub(crate) fn lower_terminal(
    process: &Process,
    steps: &mut Steps,
    root: Slot,
) -> Result<Option<Slot>, SpawnError> {
    let Stdio::Terminal { size, line_ends } = process.stdio else { return Ok(None) };
    let socket = steps.program.descriptor_socket().map_err(SpawnError::Start)?;
    let slave = steps.slot();
    let terminal = Terminal { root, socket, slave, uid: process.uid, size, line_ends };
    steps.add("make the terminal", Op::Terminal(terminal));
    Ok(Some(slave))
}

/// Reports an invalid value of the plan found while the parent sets the child up.
pub(crate) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
