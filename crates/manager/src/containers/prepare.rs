//! Making a container, up to the point where it could be started.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use creel_base::id::Id;
use creel_base::path::Dir;
use creel_image::document::Execution;
use creel_image::process::{self, Overrides, Process};
use creel_image::user::{self, User};
use creel_runtime::lower::{self, Options as LowerOptions};
use creel_runtime::seccomp::Filter;
use creel_runtime::spec::Spec;
use creel_spawn::cgroup::Cgroup;
use creel_spawn::userns::IdMaps;
use creel_spawn::{Overlay, Plan, Root as PlanRoot, Stdio as PlanStdio, Upper};
use jiff::Timestamp;

use super::catalog::{Catalog, Container, Owned};
use super::error::ContainerError;
use super::host::HostRoot;
use super::layered;
use super::mount_points;
use super::options::{Network, Options, Seccomp};
use super::own_file;
use super::record::{self, FORMAT, ImageRoot, Policy, Record, Root};
use super::run_error::RunError;
use super::spec;
use super::trees::{Lowers, Trees};
use super::users::{self, Chosen, Layers, Stage};
use crate::images::Image;
use crate::{Engine, Privileges};

/// Largest seccomp profile that is read, in bytes.
const PROFILE_LIMIT: u64 = 4 << 20;

/// Where this program's file is in a container with an init.
const INIT: &str = "/dev/init";

/// What the root of a new container is made of.
#[derive(Clone, Debug)]
pub enum Base {
    /// An image.
    Image(Box<Image>),
    /// The running system, with the directories that a user may want to write in.
    Host(Vec<PathBuf>),
}

/// A container that is ready to be started. Dropped before, it stays as it is: created.
pub struct Prepared<'a> {
    pub(super) engine: &'a Engine,
    pub(super) catalog: Catalog,
    pub(super) owned: Owned,
    /// What its root is stacked on, kept mounted until it has started.
    pub(super) lowers: Lowers,
    /// The mount that this program runs from.
    own_file: Option<Arc<OwnedFd>>,
    /// Why something that killed runs have left was not put away.
    remains: Vec<RunError>,
}

/// What can be started.
pub(super) struct Ready {
    pub(super) plan: Plan,
    /// Taken over by the process when it starts.
    _stage: Option<Stage>,
}

impl Engine {
    /// Opens the containers of the store.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn containers(&self) -> Result<Catalog, ContainerError> {
        Catalog::open(self.store().path(), &self.run_dir()?)
    }

    /// Opens the containers of the store; `None` where it never had any. Nothing is made in it, so
    /// this is how to look at a store that cannot be written.
    ///
    /// # Errors
    /// [`ContainerError::Path`].
    pub fn existing_containers(&self) -> Result<Option<Catalog>, ContainerError> {
        Catalog::existing(self.store().path(), || self.run_dir())
    }

    /// Finds a container as [`Catalog::find`] does.
    ///
    /// # Errors
    /// [`ContainerError::NotFound`], [`ContainerError::Ambiguous`].
    pub fn find_container(&self, text: &str) -> Result<Container, ContainerError> {
        let missing = || ContainerError::NotFound { text: text.to_owned() };
        self.existing_containers()?.ok_or_else(missing)?.find(text)
    }

    /// Makes a container.
    ///
    /// # Errors
    /// [`RunError`]; nothing is left of it then.
    pub fn prepare_container(
        &self,
        base: &Base,
        options: &Options,
    ) -> Result<Prepared<'_>, RunError> {
        // From here on, until the container refers to its trees, none of them is collected.
        let _kept = self.store().keep()?;
        let remains = self.sweep_containers()?.failed;
        let catalog = self.containers()?;
        let (root, config) = match base {
            Base::Image(image) => (self.image_root(image)?, image.config.config.clone()),
            Base::Host(writable) => (Root::Host(self.host_root(writable)?), Execution::default()),
        };
        let chosen = self.choose_ids(&catalog, &root, options.users)?;
        let lowers = self.lowers(&root, chosen.maps.as_ref())?;
        let process = process::process(&config, &overrides(options, &chosen))?;
        let mut user = look_up(&process.user, &lowers.paths)?;
        chosen.check(&user, &options.volumes)?;
        let person = chosen.at_home(&mut user, &process.cwd, &options.volumes);
        let owned = {
            let draft = catalog.begin(options.name.as_deref())?;
            let root = match root {
                Root::Host(host) => Root::Host(host.tried(draft.dir()?, self.privileges())?),
                image @ Root::Image(_) => image,
            };
            let hostname = hostname(options, &root, &draft.id);
            let policy = Policy { person, ..policy(&process, options)? };
            let mut spec = spec::spec(process, &user, options, &hostname, self.privileges())?;
            users::give(&mut spec, chosen.maps.as_ref());
            let (id, name, created) = (draft.id, draft.name.clone(), Timestamp::now());
            draft.finish(Record { format: FORMAT, id, name, created, root, spec, policy })?
        };
        Ok(Prepared { engine: self, catalog, owned, lowers, own_file: None, remains })
    }

    /// Takes an existing container to start it again, with what it has changed.
    ///
    /// # Errors
    /// [`ContainerError::Running`] if it runs.
    pub fn prepare_again(&self, container: Container) -> Result<Prepared<'_>, RunError> {
        let catalog = self.containers()?;
        let owned = self.own_at_rest(&catalog, container)?;
        let ids = users::ids(owned.record());
        let lowers = self.lowers(&owned.record().root, ids.as_ref())?;
        Ok(Prepared { engine: self, catalog, owned, lowers, own_file: None, remains: Vec::new() })
    }

    /// What the root is stacked on; the host's own root, as far as users are looked up in it.
    fn lowers(&self, root: &Root, ids: Option<&IdMaps>) -> Result<Lowers, RunError> {
        let Root::Image(image) = root else { return Ok(Lowers::of_host()) };
        let store = self.store();
        match ids.filter(|ids| !self.maps_ids(ids)).and_then(users::stored) {
            Some(ids) => Ok(Trees::mapped(store, &image.trees, ids)?),
            None => Ok(Trees::below(self.run_dir()?).lowers(store, &image.trees)?),
        }
    }

    fn host_root(&self, writable: &[PathBuf]) -> Result<HostRoot, RunError> {
        Ok(HostRoot::look(self.privileges(), &[self.run(), self.store().path()], writable)?)
    }

    fn image_root(&self, image: &Image) -> Result<Root, RunError> {
        let name = image.names.first().map_or_else(|| image.id.to_string(), |name| name.familiar());
        let trees = self.layers(image)?;
        Ok(Root::Image(ImageRoot { name, id: image.id, manifest: image.digest, trees }))
    }
}

/// The running system keeps its name.
fn hostname(options: &Options, root: &Root, id: &Id) -> String {
    let own = || match root {
        Root::Image(_) => id.short(),
        Root::Host(_) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    options.hostname.clone().unwrap_or_else(own)
}

/// The choices about the process, in which the ids that a container keeps are its user.
fn overrides<'o>(options: &'o Options, chosen: &Chosen) -> Cow<'o, Overrides> {
    let mut overrides = Cow::Borrowed(&options.process);
    if overrides.user.is_none() && chosen.user.is_some() {
        overrides.to_mut().user.clone_from(&chosen.user);
    }
    overrides
}

fn look_up(user: &str, lowers: &[PathBuf]) -> Result<User, RunError> {
    let passwd = layered::read(lowers, "etc/passwd", user::MAX_FILE)?;
    let group = layered::read(lowers, "etc/group", user::MAX_FILE)?;
    Ok(user::resolve(user, &passwd, &group)?)
}

fn policy(process: &Process, options: &Options) -> Result<Policy, RunError> {
    Ok(Policy {
        remove: options.remove,
        interactive: options.interactive,
        init: options.init,
        stop_signal: process.stop_signal.number(),
        host_network: options.network == Network::Host,
        limited: options.limits != super::options::Limits::default(),
        seccomp: seccomp(options)?,
        person: None,
    })
}

/// The profile as it is kept: a file may change or go before the container is started again.
fn seccomp(options: &Options) -> Result<record::Seccomp, RunError> {
    Ok(match &options.seccomp {
        Seccomp::Default if options.privileged => record::Seccomp::Unconfined,
        Seccomp::Default => record::Seccomp::Default,
        Seccomp::Unconfined => record::Seccomp::Unconfined,
        Seccomp::Profile(path) => {
            let failed = |source| RunError::ReadProfile { path: path.clone(), source };
            let mut text = String::new();
            let file = std::fs::File::open(path).map_err(failed)?;
            let mut file = std::io::Read::take(file, PROFILE_LIMIT);
            std::io::Read::read_to_string(&mut file, &mut text).map_err(failed)?;
            record::Seccomp::Profile(text)
        }
    })
}

impl Prepared<'_> {
    /// Tells whether standard input is to be passed on.
    pub fn interactive(&self) -> bool {
        self.owned.record().policy.interactive
    }

    /// Gives the mount of its own file that this program runs from: no path leads to it.
    #[must_use]
    pub fn with_own_file(self, mount: Option<OwnedFd>) -> Self {
        Self { own_file: mount.map(Arc::new), ..self }
    }

    /// Tells why something that killed runs have left was not put away when this was made. It keeps
    /// nothing else from running.
    pub fn remains(&self) -> &[RunError] {
        &self.remains
    }

    /// Returns what the container was made of.
    pub const fn record(&self) -> &Record {
        self.owned.record()
    }

    /// Says step by step what starting it would do; then the container is removed.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn explain(self) -> Result<String, RunError> {
        let spec = self.owned.record().spec.clone();
        let explained = self.plan(spec, PlanStdio::Inherit, None)?.plan.to_string();
        self.catalog.remove(self.owned)?;
        Ok(explained)
    }

    /// Lowers the specification as it is now.
    pub(super) fn plan(
        &self,
        mut spec: Spec,
        stdio: PlanStdio,
        cgroup: Option<Arc<Cgroup>>,
    ) -> Result<Ready, RunError> {
        let privileges = self.engine.privileges();
        let record = self.owned.record();
        let mounts = self.init_mount()?;
        let stage = self.stage(&mut spec)?;
        let options = LowerOptions {
            root: Some(self.root(stage.as_ref())?),
            stdio,
            cgroup,
            seccomp: filter(record)?,
            mounts,
            in_user_namespace: privileges != Privileges::Whole,
            setgroups_denied: privileges == Privileges::Namespace { setgroups_denied: true },
            ..LowerOptions::default()
        };
        if record.policy.init {
            let process = spec.process.get_or_insert_default();
            process.args.splice(..0, [INIT, "init", "--"].map(str::to_owned));
        }
        Ok(Ready { plan: lower::lower(&spec, &options)?, _stage: stage })
    }

    /// The mounts of a container with ids of its own.
    fn stage(&self, spec: &mut Spec) -> Result<Option<Stage>, RunError> {
        let record = self.owned.record();
        let Some(ids) = users::ids(record) else { return Ok(None) };
        let stage = Stage::set_up(&self.run_dir()?, ids, self.engine.privileges())?;
        let (lowers, dir) = (&self.lowers, &self.owned.container.dir);
        let layers = Layers { lowers, dir, volatile: record.policy.remove };
        stage.stack(&layers, record.policy.person.as_ref())?;
        stage.bind(spec)?;
        Ok(Some(stage))
    }

    /// This program's own file, which is the container's init where one was asked for.
    fn init_mount(&self) -> Result<Vec<(String, Arc<OwnedFd>)>, RunError> {
        let record = self.owned.record();
        if !record.policy.init {
            return Ok(Vec::new());
        }
        let dir = &self.owned.container.dir;
        let mount = own_file::mount(&record.spec, self.own_file.as_ref(), dir)?;
        Ok(vec![(INIT.to_owned(), mount)])
    }

    fn root(&self, stage: Option<&Stage>) -> Result<PlanRoot, RunError> {
        match (&self.owned.record().root, stage) {
            (_, Some(stage)) => Ok(PlanRoot::directory(stage.root())),
            (Root::Image(_), None) => Ok(PlanRoot::Overlay(self.overlay()?)),
            (Root::Host(host), None) => {
                let dir = &self.owned.container.dir;
                Ok(PlanRoot::directory(host.assemble(dir, self.engine.privileges())?))
            }
        }
    }

    /// The stack that becomes the root.
    fn overlay(&self) -> Result<Overlay, RunError> {
        let dir = &self.owned.container.dir;
        super::upper::make(dir, &self.lowers.paths)?;
        let upper = Upper {
            upper: dir.path().join("upper"),
            work: dir.path().join("work"),
            // Nobody wants the changes of a container that goes with its process.
            volatile: self.owned.record().policy.remove,
        };
        let below = mount_points::layer(&self.engine.run_dir()?)?;
        let lowers = self.lowers.paths.iter().rev().cloned().chain([below]).collect();
        let mut overlay = Overlay::new(lowers, Some(upper));
        overlay.user_xattrs = self.engine.privileges() != Privileges::Whole;
        Ok(overlay)
    }

    /// The directory of what only this run needs.
    pub(super) fn run_dir(&self) -> Result<Dir, RunError> {
        Ok(self.catalog.run_dir(&self.owned)?)
    }
}

pub(super) fn filter(record: &Record) -> Result<Filter, RunError> {
    match &record.policy.seccomp {
        record::Seccomp::Default => Ok(Filter::Default),
        record::Seccomp::Unconfined => Ok(Filter::Unconfined),
        record::Seccomp::Profile(text) => Filter::parse(text)
            .map_err(|source| RunError::Profile { name: record.name.clone(), source }),
    }
}
