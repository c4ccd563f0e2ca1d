//! Options of commands that speak to registries.

use std::path::PathBuf;

use creel_manager::Settings;
use creel_manager::credentials::Credential;

use crate::failure::Failure;

/// How a registry is spoken to.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Access {
    /// Insist on TLS with a trusted certificate; `false` allows any, and plain HTTP [default: as
    /// `registries.conf` says, else true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    tls_verify: Option<bool>,
    /// User and password for the image's registry, in place of what `creel login` has kept
    #[arg(long, value_name = "USER:PASSWORD")]
    creds: Option<String>,
    /// File with credentials [default: `$REGISTRY_AUTH_FILE`, else those of Podman and Docker]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

impl Access {
    /// Puts the options in place of what the environment says.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        if let Some(file) = &self.authfile {
            settings.auth_files = vec![file.clone()];
        }
    }

    /// Whether TLS is insisted on; `None` leaves it to `registries.conf`.
    pub(crate) const fn verify_tls(&self) -> Option<bool> {
        self.tls_verify
    }

    /// The credentials of the command line.
    pub(crate) fn credentials(&self) -> Result<Option<Credential>, Failure> {
        let Some(text) = &self.creds else { return Ok(None) };
        let (username, password) = text.split_once(':').ok_or_else(|| {
            // The text is not shown: it may be a password.
            Failure::new("`--creds` is not `USER:PASSWORD`")
        })?;
        let (username, password) = (username.to_owned(), password.to_owned());
        Ok(Some(Credential::Basic { username, password }))
    }
}
