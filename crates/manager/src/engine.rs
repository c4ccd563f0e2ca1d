//! What every command works on: the store, and the way to registries.

use std::path::PathBuf;

use creel_base::hint::Hint;
use creel_base::platform::Platform;
use creel_registry::credentials::{AuthFiles, CredentialSource, Fixed};
use creel_registry::registries::{Registries, RegistriesError};
use creel_registry::{Client, Config};
use creel_store::{KernelProbe, Store, StoreError};

/// What depends on the user, the environment and the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store's directory; made at the first use.
    pub store: PathBuf,
    /// Files with credentials, in the order in which they are asked.
    pub auth_files: Vec<PathBuf>,
    /// `registries.conf`, in the order in which the first that is there counts.
    pub registries: Vec<PathBuf>,
    /// Directories of drop-ins to it, all of which count.
    pub registries_drop_ins: Vec<PathBuf>,
    /// How registries are spoken to.
    pub client: Config,
    /// User and password given on the command line, in place of the files.
    pub credentials: Option<Fixed>,
    /// The platform that images are chosen for.
    pub platform: Platform,
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
    /// `registries.conf` cannot be followed.
    #[error(transparent)]
    Registries(#[from] RegistriesError),
}

impl Hint for EngineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store { source, .. } => source.hint(),
            Self::Registries(_) => None,
        }
    }
}

/// A store and the registries that fill it.
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) registries: Registries,
    pub(crate) platform: Platform,
}

impl Engine {
    /// Opens the store, or makes it where there is none.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open(settings: Settings) -> Result<Self, EngineError> {
        let path = settings.store;
        let store = match Store::open(&path) {
            Err(StoreError::NoStore { .. }) => Store::create(&path, &KernelProbe, Vec::new()),
            opened => opened,
        };
        let store = store.map_err(|source| EngineError::Store { path, source })?;
        let credentials: Box<dyn CredentialSource> = match settings.credentials {
            Some(fixed) => Box::new(fixed),
            None => Box::new(AuthFiles { paths: settings.auth_files }),
        };
        Ok(Self {
            store,
            client: Client::new(settings.client, credentials),
            registries: Registries::load(&settings.registries, &settings.registries_drop_ins)?,
            platform: settings.platform,
        })
    }

    /// Returns the store.
    pub const fn store(&self) -> &Store {
        &self.store
    }
}
