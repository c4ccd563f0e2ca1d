//! What every command works on: the store, the run directory, and the way to registries.
//!
//! Opening an engine opens the store and nothing else: configuration, credentials and TLS cost more
//! than a container's start, and only pulls and pushes need them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use creel_base::hint::Hint;
use creel_base::path::{Dir, Mode, PathError};
use creel_base::platform::Platform;
use creel_registry::credentials::{AuthFiles, CredentialSource, Fixed};
use creel_registry::registries::{Registries, RegistriesError};
use creel_registry::{Client, Config};
use creel_store::{KernelProbe, Owners, Store, StoreError};

/// What depends on the user, the environment and the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store's directory; made at the first use.
    pub store: PathBuf,
    /// The directory of what a reboot may take: mounts, sockets, locks. Made at the first use.
    pub run: PathBuf,
    /// Whose the files of a loose store are.
    pub owners: Owners,
    /// What this process's rights reach.
    pub privileges: Privileges,
    /// The user and group id of the caller, before any user namespace was entered.
    pub caller: [u32; 2],
    /// Files with credentials, in the order in which they are asked.
    pub auth_files: Vec<PathBuf>,
    /// `registries.conf`, in the order in which the first that is there counts.
    pub registries: Vec<PathBuf>,
    /// Directories of drop-ins to it, all of which count.
    pub registries_drop_ins: Vec<PathBuf>,
    /// How registries are spoken to.
    pub client: Config,
    /// The platform that images are chosen for.
    pub platform: Platform,
}

/// What the rights of this process reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// The whole system.
    Whole,
    /// A user namespace, in which it is root.
    Namespace {
        /// It has a single id, and with it no supplementary groups (`setgroups` of proc(5)).
        setgroups_denied: bool,
    },
}

/// Why nothing can be done at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store does not open.
    #[error("cannot open the store `{path}`", path = .path.display())]
    Store {
        /// Its directory.
        path: PathBuf,
        /// The reason.
        source: StoreError,
    },
    /// There is no store, and none is to be made.
    #[error("no store at `{path}`", path = .path.display())]
    NoStore {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// The run directory cannot be made or opened.
    #[error("cannot use the run directory `{path}`", path = .path.display())]
    Run {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: PathError,
    },
    /// Others could change what is in the run directory.
    #[error("run directory `{path}` can be written by others", path = .path.display())]
    RunIsOpen {
        /// The directory.
        path: PathBuf,
    },
    /// `registries.conf` cannot be followed.
    #[error(transparent)]
    Registries(#[from] RegistriesError),
}

impl Hint for EngineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store { source, .. } => source.hint(),
            Self::NoStore { path } => Some(format!(
                "`creel --store {} pull IMAGE` makes one, if the path is right",
                path.display()
            )),
            Self::Run { source, .. } => source.hint(),
            Self::RunIsOpen { path } => Some(format!(
                "name another with `--run-dir`, or remove `{}` if it is not yours",
                path.display()
            )),
            Self::Registries(_) => None,
        }
    }
}

/// A store and the registries that fill it.
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    registries: OnceLock<Registries>,
    client: OnceLock<Client>,
}

impl Engine {
    /// Opens the store, or makes it where there is none.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn open(settings: Settings) -> Result<Self, EngineError> {
        let opened = open_or_create(&settings.store);
        Self::with(opened, settings)
    }

    /// Opens the store that is there.
    ///
    /// # Errors
    /// [`EngineError::NoStore`] and [`EngineError::Store`].
    pub fn open_existing(settings: Settings) -> Result<Self, EngineError> {
        match Store::open(&settings.store) {
            Err(StoreError::NoStore { path }) if path == settings.store => {
                Err(EngineError::NoStore { path })
            }
            opened => Self::with(opened, settings),
        }
    }

    fn with(opened: Result<Store, StoreError>, settings: Settings) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Store { path: settings.store.clone(), source };
        let store = opened.map_err(failed)?;
        let (registries, client) = (OnceLock::new(), OnceLock::new());
        Ok(Self { store, settings, registries, client })
    }

    /// Returns the store.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the run directory's path, whether it is there or not.
    pub fn run(&self) -> &Path {
        &self.settings.run
    }

    /// Opens the run directory, or makes it where there is none: mode 0700, the caller's own.
    ///
    /// # Errors
    /// [`EngineError::Run`], and [`EngineError::RunIsOpen`] for a directory in which others could
    /// have put what is there, as in `/tmp`.
    pub fn run_dir(&self) -> Result<Dir, EngineError> {
        let path = self.run();
        let failed = |source| EngineError::Run { path: path.to_owned(), source };
        let dir = Dir::open_or_create(path, Mode::RWXU).map_err(failed)?;
        let stat = dir.stat_self().map_err(failed)?;
        let own = stat.st_uid == rustix::process::geteuid().as_raw();
        if own && stat.st_mode & 0o022 == 0 {
            Ok(dir)
        } else {
            Err(EngineError::RunIsOpen { path: path.to_owned() })
        }
    }

    /// Returns whose the files of a loose store are.
    pub const fn owners(&self) -> Owners {
        self.settings.owners
    }

    /// Returns what the rights of this process reach.
    pub const fn privileges(&self) -> Privileges {
        self.settings.privileges
    }

    /// Returns the platform that images are chosen for.
    pub const fn platform(&self) -> &Platform {
        &self.settings.platform
    }

    /// Returns `registries.conf`, read at the first call.
    ///
    /// # Errors
    /// [`RegistriesError`].
    pub fn registries(&self) -> Result<&Registries, RegistriesError> {
        if let Some(registries) = self.registries.get() {
            return Ok(registries);
        }
        let Settings { registries, registries_drop_ins, .. } = &self.settings;
        let loaded = Registries::load(registries, registries_drop_ins)?;
        Ok(self.registries.get_or_init(|| loaded))
    }

    /// Returns the way to registries: with credentials from the command line, or from files.
    pub fn client(&self, credentials: Option<Fixed>) -> Client {
        let new =
            |source: Box<dyn CredentialSource>| Client::new(self.settings.client.clone(), source);
        match credentials {
            Some(fixed) => new(Box::new(fixed)),
            None => {
                let files = || AuthFiles { paths: self.settings.auth_files.clone() };
                self.client.get_or_init(|| new(Box::new(files()))).clone()
            }
        }
    }
}

fn open_or_create(path: &Path) -> Result<Store, StoreError> {
    match Store::open(path) {
        Err(StoreError::NoStore { .. }) => {}
        opened => return opened,
    }
    match Store::create(path, &KernelProbe, Vec::new()) {
        // Another process was quicker.
        Err(StoreError::StoreExists { .. }) => Store::open(path),
        created => created,
    }
}
