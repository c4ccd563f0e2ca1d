//! The client: one [`Client`] for all registries, one [`Repository`] for what is pulled or pushed.

mod blob;
mod exchange;
mod manifest;
mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use blob::{BlobReader, VerifyingReader};
pub use manifest::{MAX_CONFIG, MAX_MANIFEST, Manifest};
pub use upload::Pushed;

use crate::certs::CertSources;
use crate::credentials::CredentialSource;
use crate::error::Error;
use crate::http::{TlsPolicy, Transport};
use crate::ureq_transport::UreqTransport;
use crate::url::{Scheme, Url};

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// The User-Agent header.
    pub user_agent: String,
    /// Limit for name look-up, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// How long a connection may stay silent.
    pub stall_timeout: Duration,
    /// How slow a connection may be.
    pub slowest: MinRate,
    /// Repetition of what failed for the moment.
    pub retry: RetryPolicy,
    /// Certificates.
    pub certs: CertSources,
    /// Proxies.
    pub proxies: Proxies,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: concat!("creel/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            slowest: MinRate::default(),
            retry: RetryPolicy::default(),
            certs: CertSources::default(),
            proxies: Proxies::default(),
        }
    }
}

/// What a connection has to give in order to be kept. One byte now and then is no stall, but would
/// keep a download for ever.
#[derive(Clone, Copy, Debug)]
pub struct MinRate {
    /// Bytes.
    pub bytes: u64,
    /// How long may be waited for them.
    pub time: Duration,
}

impl Default for MinRate {
    /// A byte a second, over a minute.
    fn default() -> Self {
        Self { bytes: 60, time: Duration::from_secs(60) }
    }
}

/// How often and how fast a request is repeated.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Repetitions without any progress before giving up.
    pub attempts: u32,
    /// First pause; doubles each time.
    pub base: Duration,
    /// Longest pause, whatever Retry-After says.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, base: Duration::from_millis(250), cap: Duration::from_secs(60) }
    }
}

/// Values of the usual proxy variables.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For http URLs.
    pub http: Option<String>,
    /// For https URLs.
    pub https: Option<String>,
    /// Comma-separated hosts and domains reached directly; `*` is all.
    pub no_proxy: String,
}

impl Proxies {
    pub(crate) fn skips(&self, host: &str) -> bool {
        self.no_proxy.split(',').map(str::trim).filter(|s| !s.is_empty()).any(|entry| {
            let domain = entry.trim_start_matches('.');
            let below = host.strip_suffix(domain).is_some_and(|head| head.ends_with('.'));
            entry == "*" || host == domain || below
        })
    }
}

/// Speaks to registries. Cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    config: Config,
    transport: Box<dyn Transport>,
    credentials: Box<dyn CredentialSource>,
    /// Authorization values by (registry, scope).
    tokens: Mutex<HashMap<(String, String), String>>,
    /// The scheme found for each registry spoken to insecurely.
    schemes: Mutex<HashMap<String, Scheme>>,
}

impl Client {
    /// Makes a client on TCP and rustls.
    pub fn new(config: Config, credentials: Box<dyn CredentialSource>) -> Self {
        let transport = Box::new(UreqTransport::new(config.clone()));
        Self::with_transport(config, credentials, transport)
    }

    /// Makes a client on another transport.
    pub fn with_transport(
        config: Config,
        credentials: Box<dyn CredentialSource>,
        transport: Box<dyn Transport>,
    ) -> Self {
        let (tokens, schemes) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { config, transport, credentials, tokens, schemes }))
    }

    /// Opens a repository: `registry` is `host[:port]`, `name` the path below it.
    pub fn repository(&self, registry: &str, name: &str, tls: TlsPolicy) -> Repository {
        Repository {
            client: self.clone(),
            registry: registry.to_owned(),
            name: name.to_owned(),
            tls,
        }
    }
}

/// A repository at a registry.
#[derive(Clone)]
pub struct Repository {
    client: Client,
    registry: String,
    name: String,
    tls: TlsPolicy,
}

impl Repository {
    /// Returns `host[:port]`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the path below the registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn url(&self, rest: &str) -> Result<Url, Error> {
        Ok(Url::new(self.scheme()?, self.api_host(), &format!("/v2/{}/{rest}", self.name)))
    }

    /// Docker Hub's API lives on another host than its name says.
    fn api_host(&self) -> &str {
        if self.registry == "docker.io" { "registry-1.docker.io" } else { &self.registry }
    }

    fn scheme(&self) -> Result<Scheme, Error> {
        if self.tls == TlsPolicy::Verify {
            return Ok(Scheme::Https);
        }
        let known = self.lock(&self.client.0.schemes).get(&self.registry).copied();
        if let Some(scheme) = known {
            return Ok(scheme);
        }
        let scheme = self.probe_scheme()?;
        self.lock(&self.client.0.schemes).insert(self.registry.clone(), scheme);
        Ok(scheme)
    }

    #[allow(clippy::unused_self, reason = "keeps the poison rule in one place")]
    fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        // Each entry is inserted whole, so a panic elsewhere leaves the map sound.
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
