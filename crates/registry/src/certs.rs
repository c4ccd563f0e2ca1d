//! Which certificates a registry is checked with: `certs.d`, a given bundle, the system's, webpki's.
//!
//! Layout of `certs.d`: containers-certs.d(5).

use std::fs;
use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, parse_pem};

use crate::error::Error;

/// Where certificates are looked for.
#[derive(Clone, Debug, Default)]
pub struct CertSources {
    /// Directories with one directory a registry (`host` or `host:port`) in them.
    pub certs_d: Vec<PathBuf>,
    /// A PEM bundle that replaces the system's (the value of `SSL_CERT_FILE`).
    pub bundle: Option<PathBuf>,
}

/// The bundles of the common distributions, first found wins (the list of Go's crypto/x509).
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What one host is spoken to with.
pub(crate) struct HostCerts {
    pub(crate) roots: RootCerts,
    pub(crate) client: Option<ClientCert>,
}

impl CertSources {
    /// Loads what applies to `host` (with its port, if it has one).
    pub(crate) fn load(&self, host: &str) -> Result<HostCerts, Error> {
        let mut extra = Vec::new();
        let mut client = None;
        for directory in self.certs_d.iter().map(|root| root.join(host)) {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            files.sort();
            for file in files {
                match file.extension().and_then(|e| e.to_str()) {
                    Some("crt") => extra.extend(certificates(&file)?),
                    Some("cert") if client.is_none() => client = Some(pair(&file)?),
                    _ => {}
                }
            }
        }
        let system = self.system()?;
        let roots = match (system.is_empty(), extra.is_empty()) {
            (true, true) => RootCerts::WebPki,
            _ => RootCerts::new_with_certs(&[system, extra].concat()),
        };
        Ok(HostCerts { roots, client })
    }

    fn system(&self) -> Result<Vec<Certificate<'static>>, Error> {
        if let Some(bundle) = &self.bundle {
            return certificates(bundle);
        }
        match SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()) {
            Some(bundle) => certificates(bundle),
            None => Ok(Vec::new()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<PemItem<'static>>, Error> {
    let failed = |reason: String| Error::Certificate { path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(|e| failed(e.to_string()))?;
    parse_pem(&pem).collect::<Result<_, _>>().map_err(|e| failed(e.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let items = read(path)?.into_iter();
    Ok(items
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect())
}

/// Loads `NAME.cert` and the `NAME.key` beside it.
fn pair(cert: &Path) -> Result<ClientCert, Error> {
    let path = cert.with_extension("key");
    let key = read(&path)?.into_iter().find_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let key: PrivateKey<'static> = key.ok_or_else(|| Error::Certificate {
        path: path.clone(),
        reason: "there is no private key in it".to_owned(),
    })?;
    Ok(ClientCert::new_with_certs(&certificates(cert)?, key))
}
