//! Credentials as containers-auth.json(5) and Docker's `config.json` keep them.

mod helper;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What a registry is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// User name and password.
    Basic {
        /// The user.
        username: String,
        /// The secret.
        password: String,
    },
    /// An OAuth2 refresh token, to be traded for access tokens.
    IdentityToken(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A secret must not reach a log by way of `{:?}`.
        f.write_str("Credential(…)")
    }
}

/// Why credentials could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file could not be read.
    #[error("cannot read `{path}`", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("cannot understand `{path}`: {reason}", path = .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The reason, without any secret.
        reason: String,
    },
    /// A file could not be written.
    #[error("cannot write `{path}`", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A credential helper is not installed.
    #[error("credential helper `{helper}` is not in `PATH`")]
    NoHelper {
        /// The program.
        helper: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A credential helper failed.
    #[error("credential helper `{helper}` failed: {reason}")]
    Helper {
        /// The program.
        helper: String,
        /// The reason.
        reason: String,
    },
}

/// Gives the credential for a repository.
pub trait CredentialSource: Send + Sync {
    /// Returns the credential for `repository` at `registry`, if there is one.
    ///
    /// # Errors
    ///
    /// When a source that should be asked cannot be.
    fn get(&self, registry: &str, repository: &str) -> Result<Option<Credential>, CredentialError>;
}

/// No credentials at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl CredentialSource for Anonymous {
    fn get(&self, _: &str, _: &str) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}

/// The same credential for every repository of one registry (`--creds`).
#[derive(Clone, Debug)]
pub struct Fixed {
    /// The registry it is for; no other one gets it.
    pub registry: String,
    /// The credential.
    pub credential: Credential,
}

impl CredentialSource for Fixed {
    fn get(&self, registry: &str, _: &str) -> Result<Option<Credential>, CredentialError> {
        Ok((registry == self.registry).then(|| self.credential.clone()))
    }
}

/// Files in search order; the first with an entry wins.
#[derive(Clone, Debug, Default)]
pub struct AuthFiles {
    /// Files; one that does not exist is skipped.
    pub paths: Vec<PathBuf>,
}

/// Largest auth file read, in bytes.
const MAX_FILE: u64 = 4 << 20;

#[derive(Default, Deserialize, Serialize)]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default, rename = "credHelpers", skip_serializing_if = "BTreeMap::is_empty")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore", skip_serializing_if = "String::is_empty")]
    creds_store: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Default, Deserialize, Serialize)]
struct AuthEntry {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    auth: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    identitytoken: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl CredentialSource for AuthFiles {
    fn get(&self, registry: &str, repository: &str) -> Result<Option<Credential>, CredentialError> {
        for path in &self.paths {
            let Some(file) = load(path)? else { continue };
            if let Some(found) = file.find(path, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl AuthFile {
    fn find(
        &self,
        path: &Path,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        if let Some(found) = self.ask(registry)? {
            return Ok(Some(found));
        }
        for key in keys(registry, repository) {
            let same = |name: &String| normalise(name, &key) == key;
            let entry = self
                .auths
                .get(&key)
                .or_else(|| self.auths.iter().find(|(name, _)| same(name)).map(|(_, entry)| entry));
            if let Some(found) = entry.map(|entry| entry.credential(path)).transpose()?.flatten() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl AuthFile {
    /// Asks the registry's own helper, else the default store, as Docker does.
    ///
    /// Unlike Docker, inline entries still count when a helper knows nothing, and when the default
    /// store's program is not installed: files copied from a desktop name stores servers lack.
    fn ask(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        let key = helper_key(registry);
        match (self.cred_helpers.get(registry).map(String::as_str), self.creds_store.as_str()) {
            (Some(""), _) | (None, "") => Ok(None),
            (Some(helper), _) => helper::ask(helper, key),
            (None, store) => match helper::ask(store, key) {
                Err(CredentialError::NoHelper { .. }) => Ok(None),
                answer => answer,
            },
        }
    }
}

/// `registry/a/b`, `registry/a`, `registry`: most specific first.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut key = format!("{registry}/{repository}");
    let mut keys = vec![key.clone()];
    while let Some(at) = key.rfind('/') {
        key.truncate(at);
        keys.push(key.clone());
    }
    keys
}

/// Old files have URLs as keys: `https://index.docker.io/v1/` is Docker Hub. A URL names a host, so it
/// is reduced to one only when a bare host is looked for.
fn normalise(name: &str, key: &str) -> String {
    let bare = name.trim_start_matches("https://").trim_start_matches("http://");
    if key.contains('/') || bare.len() == name.len() {
        return bare.to_owned();
    }
    match bare.split('/').next().unwrap_or(bare) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

fn helper_key(registry: &str) -> &str {
    // Docker's helpers know the Hub by its old URL only.
    if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry }
}

impl AuthEntry {
    fn credential(&self, path: &Path) -> Result<Option<Credential>, CredentialError> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::IdentityToken(self.identitytoken.clone())));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let parsed = STANDARD.decode(&self.auth).ok().and_then(|b| String::from_utf8(b).ok());
        let pair = parsed.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) = pair.ok_or_else(|| CredentialError::Parse {
            path: path.to_owned(),
            reason: "an `auth` field is not base64 of `user:password`".to_owned(),
        })?;
        let password = password.trim_end_matches('\0').to_owned();
        Ok(Some(Credential::Basic { username: username.to_owned(), password }))
    }
}

fn load(path: &Path) -> Result<Option<AuthFile>, CredentialError> {
    let failed = |source| CredentialError::Read { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    // serde's message could quote a secret; line and column cannot.
    serde_json::from_slice(&bytes).map(Some).map_err(|e| CredentialError::Parse {
        path: path.to_owned(),
        reason: format!("malformed at line {} column {}", e.line(), e.column()),
    })
}

/// Writes a credential into an auth file, mode 0600, replaced atomically.
///
/// # Errors
///
/// When the file cannot be read, understood or written.
pub fn login(
    path: &Path,
    key: &str,
    username: &str,
    password: &str,
) -> Result<(), CredentialError> {
    let mut file = load(path)?.unwrap_or_default();
    let auth = STANDARD.encode(format!("{username}:{password}"));
    file.auths.insert(key.to_owned(), AuthEntry { auth, ..AuthEntry::default() });
    store(path, &file)
}

/// Drops a credential from an auth file; returns whether there was one.
///
/// # Errors
///
/// When the file cannot be read, understood or written.
pub fn logout(path: &Path, key: &str) -> Result<bool, CredentialError> {
    let Some(mut file) = load(path)? else { return Ok(false) };
    if file.auths.remove(key).is_none() {
        return Ok(false);
    }
    store(path, &file).map(|()| true)
}

fn store(path: &Path, file: &AuthFile) -> Result<(), CredentialError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let write = || -> io::Result<()> {
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let mut out =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        serde_json::to_writer_pretty(&mut out, file)?;
        out.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| CredentialError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(json: &str) -> (tempfile::TempDir, AuthFiles) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.json");
        fs::write(&path, json).unwrap();
        (directory, AuthFiles { paths: vec!["/nonexistent".into(), path] })
    }

    fn user(files: &AuthFiles, registry: &str, repository: &str) -> Option<String> {
        match files.get(registry, repository).unwrap() {
            Some(Credential::Basic { username, .. }) => Some(username),
            Some(Credential::IdentityToken(token)) => Some(token),
            None => None,
        }
    }

    #[test]
    fn the_most_specific_key_wins() {
        let (_d, files) = files(
            r#"{"auths":{"r.io":{"auth":"YTpi"},"r.io/x":{"auth":"eDpi"},"r.io/x/y":{"auth":"eTpi"},
            "https://index.docker.io/v1/":{"auth":"aHViOmI="},"t.io":{"identitytoken":"tok"}}}"#,
        );
        for (registry, repository, expected) in [
            ("r.io", "z", Some("a")),
            ("r.io", "x/q", Some("x")),
            ("r.io", "x/y", Some("y")),
            ("r.io", "xx", Some("a")),
            ("docker.io", "library/debian", Some("hub")),
            ("t.io", "x", Some("tok")),
            ("other.io", "x", None),
        ] {
            assert_eq!(
                user(&files, registry, repository).as_deref(),
                expected,
                "{registry}/{repository}"
            );
        }
    }

    #[test]
    fn login_and_logout_keep_the_rest_private() {
        use std::os::unix::fs::PermissionsExt;
        let (_d, files) = files(r#"{"auths":{},"other":1}"#);
        let path = &files.paths[1];
        login(path, "r.io", "me", "pa:ss").unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let expected = Credential::Basic { username: "me".into(), password: "pa:ss".into() };
        assert_eq!(files.get("r.io", "x").unwrap(), Some(expected));
        assert!(logout(path, "r.io").unwrap());
        assert!(!logout(path, "r.io").unwrap());
        assert!(fs::read_to_string(path).unwrap().contains("\"other\": 1"));
    }

    #[test]
    fn errors_show_no_secret() {
        let (_d, files) = files(r#"{"auths":{"r.io":{"auth":"c2VjcmV0"}}}"#);
        let error = files.get("r.io", "x").unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_missing_default_store_leaves_the_inline_entries() {
        let auths = r#""auths":{"r.io":{"auth":"YTpi"}}"#;
        for (more, found) in [
            (r#""credsStore":"creel-test-missing""#, true),
            (r#""credHelpers":{"other.io":"creel-test-missing"}"#, true),
            (r#""credHelpers":{"r.io":""},"credsStore":"creel-test-missing""#, true),
            (r#""credHelpers":{"r.io":"creel-test-missing"}"#, false),
            (r#""credsStore":"../../bin/sh""#, false),
        ] {
            let (_d, files) = files(&format!("{{{auths},{more}}}"));
            assert_eq!(files.get("r.io", "x").is_ok_and(|c| c.is_some()), found, "{more}");
        }
    }
}
