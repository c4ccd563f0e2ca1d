//! Making a container ready.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use creel_spawn::cgroup::Cgroup;
use creel_spawn::{Plan, Rest, RootChange, Stdio};
use jiff::Timestamp;

use super::Runtime;
use super::bundle::Bundle;
use super::console;
use super::directory::Directory;
use super::error::LifecycleError;
use super::group;
use super::id::ContainerId;
use super::record::{CgroupRecord, Record, VERSION};
use super::supervision::supervision;
use crate::container::{ContainerError, Identity, Running, supervised};
use crate::lower::{Options, lower};
use crate::spec::{IdMapping, Namespace, NamespaceKind, Process};

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

/// When the program is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// On [`Runtime::start`].
    Started,
    /// At once.
    Now,
}

/// What is needed to make a container.
#[derive(Clone, Debug, Default)]
pub struct Create {
    /// The bundle.
    pub bundle: PathBuf,
    /// The specification, if it is not the bundle's `config.json`.
    pub config: Option<PathBuf>,
    /// Where its terminal goes.
    pub console: Console,
    /// How the root file system becomes the container's root.
    pub root_change: RootChange,
    /// Its standard descriptors and those that follow them, unless it has a terminal.
    pub stdio: Stdio,
}

impl Runtime {
    /// Makes a container ready from a bundle, up to the execution of its program, and returns the id
    /// of its first process. That is a child of this one.
    ///
    /// # Errors
    /// Names what is wrong; nothing remains then.
    pub fn create(&self, id: &ContainerId, create: &Create) -> Result<i32, LifecycleError> {
        self.make(id, create, When::Started).map(|running| running.pid())
    }

    /// Whether the process of a bundle is to have a terminal.
    ///
    /// # Errors
    /// [`LifecycleError::Path`] and [`LifecycleError::Document`].
    pub fn wants_terminal(&self, create: &Create) -> Result<bool, LifecycleError> {
        let bundle = Bundle::open(&create.bundle, create.config.as_deref())?;
        Ok(bundle.spec.process.is_some_and(|process| process.terminal))
    }

    /// Whether a bundle asks for a user namespace of its own in which nobody is this namespace's root: its
    /// processes cannot change what that owns, and not look into its processes.
    ///
    /// # Errors
    /// [`LifecycleError::Path`] and [`LifecycleError::Document`].
    pub fn maps_root_away(&self, create: &Create) -> Result<bool, LifecycleError> {
        let linux = Bundle::open(&create.bundle, create.config.as_deref())?.spec.linux;
        Ok(linux.is_some_and(|linux| {
            let user = |one: &Namespace| one.kind == NamespaceKind::User && one.path.is_none();
            let maps = [&linux.uid_mappings, &linux.gid_mappings];
            let is_away = |maps: &&Vec<IdMapping>| {
                !maps.is_empty() && maps.iter().all(|map| map.host_id > 0 && map.size > 0)
            };
            linux.namespaces.iter().any(user) && maps.iter().all(is_away)
        }))
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
        let bundle = Bundle::open(&create.bundle, create.config.as_deref())?;
        check_console(bundle.spec.process.as_ref(), &create.console)?;
        let directory = Directory::create(&self.root, id)?;
        let made = make(&directory, &bundle, create, when);
        if made.is_err() {
            // The first error says more.
            let _ = directory.remove();
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

fn make(
    directory: &Directory<'_>,
    bundle: &Bundle,
    create: &Create,
    when: When,
) -> Result<Running, LifecycleError> {
    let spec = bundle.resolve();
    let group = group::make(directory.id.as_str(), &spec)?.map(Arc::new);
    let hold = match when {
        When::Started => Some(directory.listen()?),
        When::Now => None,
    };
    let (stdio, cgroup) = (create.stdio.clone(), group.clone());
    let root_change = create.root_change;
    let options = Options { stdio, cgroup, hold, root_change, ..Options::default() };
    let made = lower(&spec, &options)
        .map_err(LifecycleError::from)
        .and_then(|plan| spawn(directory, &plan, bundle, group.as_deref()))
        .and_then(|running| hand_over(running, &create.console));
    if let (Err(_), Some(group)) = (&made, group) {
        // The first error says more.
        let _ = group.remove();
    }
    made
}

/// Starts the process. What is known of it is written down while it waits to begin, so that nobody
/// can be killed who leaves one behind that is not known.
fn spawn(
    directory: &Directory<'_>,
    plan: &Plan,
    bundle: &Bundle,
    group: Option<&Cgroup>,
) -> Result<Running, LifecycleError> {
    let mut unwritten = None;
    let announce = |pid, rest: Rest| {
        let written = Identity::of(pid).map_err(LifecycleError::from).and_then(|identity| {
            directory.write(&Record {
                version: VERSION,
                bundle: bundle.path.clone(),
                created: Timestamp::now(),
                owner: rustix::process::geteuid().as_raw(),
                process: identity.into(),
                cgroup: group.map(CgroupRecord::of),
                rest: rest.into(),
                spec: bundle.spec.clone(),
            })
        });
        // The reason is kept; this one only ends the process.
        written.map_err(|error| {
            unwritten = Some(error);
            io::Error::from(io::ErrorKind::Other)
        })
    };
    let supervisor = supervision(directory, &bundle.path, &bundle.spec, None);
    let supervisor = supervisor.as_ref().map(|(supervisor, state)| (supervisor, state));
    let spawned = supervised(supervisor, |listen| plan.spawn_held(announce, listen));
    match (unwritten, spawned) {
        (Some(error), _) => Err(error),
        (None, Ok(child)) => Ok(Running::of(child)),
        // What callers look for is what the process says.
        (None, Err(ContainerError::Spawn(error))) => Err(error.into()),
        (None, Err(error)) => Err(error.into()),
    }
}

/// Sends the terminal where it was asked for; a container that nobody can see is not left.
fn hand_over(mut running: Running, console: &Console) -> Result<Running, LifecycleError> {
    match console::hand_over(console, &mut running) {
        Ok(()) => Ok(running),
        Err(error) => {
            let _ = running.signal(9);
            let _ = running.wait();
            Err(error)
        }
    }
}
