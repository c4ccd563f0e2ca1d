//! Credentials for registries: tried first, then kept.

use std::path::Path;

use creel_base::hint::Hint;
use creel_registry::credentials::{self, Credential, CredentialError, Fixed};
use creel_registry::http::TlsPolicy;

use crate::Engine;

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The registry does not take the credentials, or does not answer.
    #[error("cannot log in to `{registry}`")]
    Registry {
        /// The registry.
        registry: String,
        /// Why.
        source: Box<creel_registry::Error>,
    },
    /// The credentials cannot be kept.
    #[error(transparent)]
    Keep(#[from] CredentialError),
}

impl Hint for LoginError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry { source, .. } => source.hint(),
            Self::Keep(_) => None,
        }
    }
}

impl Engine {
    /// Tries a user and a password at a registry, and keeps them in a file, mode 0600.
    ///
    /// # Errors
    /// [`LoginError`]; nothing is kept then.
    pub fn login(
        &self,
        registry: &str,
        (username, password): (&str, &str),
        verify_tls: bool,
        file: &Path,
    ) -> Result<(), LoginError> {
        let credential =
            Credential::Basic { username: username.to_owned(), password: password.to_owned() };
        let client = self.client(Some(Fixed { registry: registry.to_owned(), credential }));
        let tls = if verify_tls { TlsPolicy::Verify } else { TlsPolicy::AllowInsecure };
        client.repository(registry, "", tls).ping().map_err(|source| LoginError::Registry {
            registry: registry.to_owned(),
            source: Box::new(source),
        })?;
        Ok(credentials::login(file, registry, username, password)?)
    }
}

/// Drops the credentials for a registry from a file; returns whether there were any.
///
/// # Errors
/// [`LoginError::Keep`].
pub fn logout(registry: &str, file: &Path) -> Result<bool, LoginError> {
    Ok(credentials::logout(file, registry)?)
}
