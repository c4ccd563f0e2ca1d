//! Making a container ready.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_base::path::Dir;
use creel_spawn::cgroup::Cgroup;
use creel_spawn::resctrl::Resctrl;
use creel_spawn::{LineEnds, Plan, Rest, RootChange, SpawnError, Stdio, Wait, move_device};
use jiff::Timestamp;

use super::Runtime;
use super::bundle::Bundle;
use super::console;
use super::directory::Directory;
use super::error::LifecycleError;
use super::group::{self, Groups};
use super::hooks::{Files, Hooks};
use super::id::ContainerId;
use super::record::{CgroupRecord, Record, VERSION};
use super::resctrl;
use super::supervision::supervision;
use super::{environment, privileges};
use crate::container::{ContainerError, Identity, Running, supervised};
use crate::lower::{
    NetDevice, Options, lower, net_devices, relative_destinations, unknown_capabilities,
    unraisable_capabilities,
};
use crate::spec::{Process, Spec};

/// What the terminal of a container is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// The specification asks for no terminal.
    #[default]
    None,
    /// A listening socket, by its path.
    Socket(PathBuf),
    /// The caller, who takes it with [`Running::take_terminal`]; nobody else could later.
    Caller,
}

impl Console {
    /// Who passes on to any reader what the terminal shows wants the lines as they are written; who is
    /// sent the terminal sets it as they like.
    pub(super) const fn line_ends(&self) -> LineEnds {
        match self {
            Self::Caller => LineEnds::Kept,
            Self::None | Self::Socket(_) => LineEnds::Returned,
        }
    }
}

/// When the program is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// On [`Runtime::start`].
    Started,
    /// At once.
    Now,
}

/// What is needed to make a container.
#[derive(Clone, Debug)]
pub struct Create {
    /// The bundle.
    pub bundle: Bundle,
    /// Where its terminal goes.
    pub console: Console,
    /// Who makes its control group.
    pub groups: Groups,
    /// Whether control groups may be out of reach, and are those of the user's session where systemd
    /// makes them; else that depends on who this process runs as.
    pub rootless: Option<bool>,
    /// How the root file system becomes the container's root.
    pub root_change: RootChange,
    /// Its standard descriptors and those that follow them, unless it has a terminal.
    pub stdio: Stdio,
    /// Descriptors that it gets after those, and after a terminal.
    pub preserved: Vec<Arc<OwnedFd>>,
    /// Variables that are added to its environment, as `NAME=value`.
    pub environment: Vec<String>,
    /// Is told what is passed over in the specification.
    pub warn: Option<fn(&str)>,
    /// A listening socket that its pidfd is sent to.
    pub pidfd_socket: Option<PathBuf>,
    /// Whether it keeps the caller's session keyring.
    pub shares_keyring: bool,
    /// Whether it gets a socket to tell that it is ready ([`Runtime::notices`]).
    pub notifies: bool,
}

impl From<Bundle> for Create {
    /// Without a terminal, with the caller's standard descriptors.
    fn from(bundle: Bundle) -> Self {
        Self {
            bundle,
            console: Console::default(),
            groups: Groups::default(),
            rootless: None,
            root_change: RootChange::default(),
            stdio: Stdio::default(),
            preserved: Vec::new(),
            environment: Vec::new(),
            warn: None,
            pidfd_socket: None,
            shares_keyring: false,
            notifies: false,
        }
    }
}

impl Runtime {
    /// Makes a container ready from a bundle, up to the execution of its program, which [`start`]
    /// lets it do. Its first process is a child of this one.
    ///
    /// # Errors
    /// Names what is wrong; nothing remains then.
    ///
    /// [`start`]: Runtime::start
    pub fn create(&self, id: &ContainerId, create: &Create) -> Result<Running, LifecycleError> {
        self.make(id, create, When::Started)
    }

    /// Makes a container from a bundle and executes its program.
    ///
    /// # Errors
    /// Names what is wrong; nothing remains then.
    pub fn run(&self, id: &ContainerId, create: &Create) -> Result<Running, LifecycleError> {
        self.make(id, create, When::Now)
    }

    fn make(
        &self,
        id: &ContainerId,
        create: &Create,
        when: When,
    ) -> Result<Running, LifecycleError> {
        let bundle = &create.bundle;
        check_console(bundle.spec.process.as_ref(), &create.console)?;
        let hooks = Hooks::of(id, &bundle.path, &bundle.spec)?;
        let directory = Directory::create(&self.root, id)?;
        let (hooks, begun) = (hooks.as_ref(), Cell::new(false));
        let making = Making { directory: &directory, bundle, create, when, hooks, begun };
        let made = making.make();
        let begun = making.begun.get();
        if made.is_err() {
            // The first error says more.
            let _ = directory.remove();
            if let Some(hooks) = hooks.filter(|_| begun) {
                hooks.run_stopped();
            }
        }
        made
    }
}

/// Fails unless the process wants a terminal and somebody takes it, or neither.
pub(super) fn check_console(
    process: Option<&Process>,
    console: &Console,
) -> Result<(), LifecycleError> {
    let terminal = process.is_some_and(|process| process.terminal);
    match (terminal, console) {
        (true, Console::None) => Err(LifecycleError::Terminal(
            "cannot allocate a terminal without a console socket, which `--console-socket` names",
        )),
        (false, Console::Socket(_)) => Err(LifecycleError::Terminal(
            "a console socket is given, but `process.terminal` is not set",
        )),
        _ => Ok(()),
    }
}

/// What a container is made from.
struct Making<'a> {
    directory: &'a Directory<'a>,
    bundle: &'a Bundle,
    create: &'a Create,
    when: When,
    hooks: Option<&'a Hooks>,
    /// Whether there has been a process.
    begun: Cell<bool>,
}

/// What of the machine a container gets.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    group: Option<&'a Arc<Cgroup>>,
    resctrl: Option<&'a Resctrl>,
}

impl Making<'_> {
    fn make(&self) -> Result<Running, LifecycleError> {
        let mut spec = self.bundle.resolve();
        if self.create.notifies {
            self.directory.add_notices(&mut spec)?;
        }
        let groups = (&self.create.groups, self.create.rootless);
        group::within(self.directory, &spec, groups, |group| {
            let id = self.directory.id.as_str();
            resctrl::within(id, &spec, |resctrl| self.make_in(&spec, Place { group, resctrl }))
        })
    }

    fn make_in(&self, spec: &Spec, place: Place<'_>) -> Result<Running, LifecycleError> {
        let hold = match self.when {
            When::Started => Some(self.directory.listen()?),
            When::Now => None,
        };
        let (stdio, root_change) = (self.create.stdio.clone(), self.create.root_change);
        let options = Options {
            stdio,
            cgroup: place.group.cloned(),
            hold,
            root_change,
            shares_keyring: self.create.shares_keyring,
            preserved: self.create.preserved.clone(),
            ..privileges::options(spec)?
        };
        let mut plan = lower(spec, &options)?;
        if let (Some(warn), Some(process)) = (self.create.warn, &spec.process) {
            warn_of_capabilities(process, warn);
        }
        if let Stdio::Terminal { line_ends, .. } = &mut plan.process.stdio {
            *line_ends = self.create.console.line_ends();
        }
        if let Some(warn) = self.create.warn {
            relative_destinations(spec).into_iter().for_each(|one| warn(&relative(one)));
        }
        plan.process.env.extend(self.create.environment.iter().cloned());
        let root = spec.root.as_ref().map_or_else(|| Path::new("/"), |root| &root.path);
        environment::complete(&mut plan.process.env, plan.process.uid, || Dir::open(root));
        if let Some(resctrl) = place.resctrl {
            plan.resctrl = resctrl.entrances()?;
        }
        let linux = spec.linux.clone().unwrap_or_default();
        let devices = net_devices(&linux, &plan.joined)?;
        let running = self.spawn(plan, place, &devices)?;
        let running = hand_over(running, self.create)?;
        self.started(running)
    }

    /// Starts the process. What is known of it is written down while it waits to begin, so that nobody
    /// can be killed who leaves one behind that is not known.
    fn spawn(
        &self,
        mut plan: Plan,
        place: Place<'_>,
        devices: &[NetDevice],
    ) -> Result<Running, LifecycleError> {
        let inside = self.hooks.map(Hooks::inside).transpose().map_err(SpawnError::Start)?;
        let (mut inside, files) = inside.flatten().unzip();
        if let Some(creel_spawn::Hooks { start, .. }) = &mut inside {
            // What runs in the container's own root has its environment, if it names no other.
            let bare = start.iter_mut().filter(|hook| hook.env.is_empty());
            bare.for_each(|hook| hook.env.clone_from(&plan.process.env));
        }
        plan.hooks = inside;
        plan.waits_made = !devices.is_empty() || self.hooks.is_some_and(Hooks::run_while_made);
        let mut failed = None;
        let attend = |pid, wait: Wait| {
            self.begun.set(true);
            let done = match wait {
                Wait::ToBegin(rest) => self.announce(pid, rest, place, files.as_ref()),
                Wait::WithAllMade => move_devices(pid, devices)
                    .and_then(|()| self.hooks.map_or(Ok(()), |hooks| hooks.run_made(pid))),
            };
            // The reason is kept; this one only ends the process.
            done.map_err(|error| {
                failed = Some(error);
                io::Error::from(io::ErrorKind::Other)
            })
        };
        let Bundle { path, spec, .. } = self.bundle;
        let supervisor = supervision(self.directory, path, spec, None);
        let supervisor = supervisor.as_ref().map(|(supervisor, state)| (supervisor, state));
        let spawned = supervised(supervisor, |listen| plan.spawn_held(attend, listen));
        match (failed, spawned) {
            (Some(error), _) => Err(error),
            (None, Ok(child)) => Ok(Running::of(child)),
            // What callers look for is what the process says.
            (None, Err(ContainerError::Spawn(error))) => Err(error.into()),
            (None, Err(error)) => Err(error.into()),
        }
    }

    fn announce(
        &self,
        pid: i32,
        rest: Rest,
        place: Place<'_>,
        files: Option<&Files>,
    ) -> Result<(), LifecycleError> {
        if let (Some(hooks), Some(files)) = (self.hooks, files) {
            hooks.tell(files, pid).map_err(SpawnError::Start)?;
        }
        self.directory.write(&Record {
            version: VERSION,
            bundle: self.bundle.path.clone(),
            created: Timestamp::now(),
            owner: rustix::process::geteuid().as_raw(),
            process: Identity::of(pid)?.into(),
            cgroup: place.group.map(|group| CgroupRecord::of(group)),
            resctrl: place.resctrl.map(Into::into),
            rest: rest.into(),
            spec: self.bundle.text.clone(),
        })
    }

    /// Runs the hooks for a program that runs now.
    fn started(&self, running: Running) -> Result<Running, LifecycleError> {
        let hooks = self.hooks.filter(|_| self.when == When::Now);
        match hooks.map_or(Ok(()), |hooks| hooks.run_started(running.pid())) {
            Ok(()) => Ok(running),
            Err(error) => {
                end(&running);
                Err(error)
            }
        }
    }
}

/// Tells of the capabilities that are passed over, in words that callers of runtimes know.
pub(super) fn warn_of_capabilities(process: &Process, warn: fn(&str)) {
    for name in unknown_capabilities(process) {
        warn(&format!("ignoring unknown or unavailable capability `{name}`"));
    }
    for name in unraisable_capabilities(process) {
        warn(&format!(
            "can't raise ambient capability {name}: it is not both permitted and inheritable"
        ));
    }
}

/// Gives a container that is being made network devices of this process's.
fn move_devices(pid: i32, devices: &[NetDevice]) -> Result<(), LifecycleError> {
    if devices.is_empty() {
        return Ok(());
    }
    let namespace = File::open(format!("/proc/{pid}/ns/net")).map_err(SpawnError::Start)?;
    for NetDevice { field, name, new_name } in devices {
        move_device(name, new_name, namespace.as_fd())
            .map_err(|source| LifecycleError::NetDevice { field: field.clone(), source })?;
    }
    Ok(())
}

fn relative(destination: &str) -> String {
    format!(
        "the mount destination `{destination}` is relative, which is deprecated; `/` is before it"
    )
}

/// Ends a process that nobody shall have.
fn end(running: &Running) {
    let _ = running.signal(9);
    let _ = running.wait();
}

/// Sends the terminal where it was asked for; a container that nobody can see is not left.
fn hand_over(mut running: Running, create: &Create) -> Result<Running, LifecycleError> {
    let pidfd = create.pidfd_socket.as_deref();
    match console::hand_over(&create.console, pidfd, &mut running) {
        Ok(()) => Ok(running),
        Err(error) => {
            end(&running);
            Err(error)
        }
    }
}
