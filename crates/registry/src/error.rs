//! What can go wrong between creel and a registry.

use std::io;
use std::path::PathBuf;

use creel_base::digest::Digest;
use creel_base::hint::Hint;

/// A failed exchange with a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry does not know the repository or the tag.
    #[error("image `{image}` is unknown to `{registry}`")]
    UnknownImage {
        /// The registry's host.
        registry: String,
        /// Repository and tag or digest.
        image: String,
    },
    /// The registry does not have the blob.
    #[error("blob `{digest}` is unknown to `{registry}`")]
    UnknownBlob {
        /// The registry's host.
        registry: String,
        /// The blob asked for.
        digest: Digest,
    },
    /// The registry refused the credentials, or the lack of them.
    #[error("`{registry}` refused access to `{scope}`{detail}", detail = detail(.message))]
    Refused {
        /// The registry's host.
        registry: String,
        /// What was asked for.
        scope: String,
        /// Whether credentials had been sent.
        logged_in: bool,
        /// The registry's own words, cut short; may be empty.
        message: String,
    },
    /// A host that the registry redirected to refused.
    #[error(
        "`{host}`, where `{registry}` redirects to, answered {status}{detail}",
        detail = detail(.message)
    )]
    RefusedElsewhere {
        /// The host that refused.
        host: String,
        /// The registry.
        registry: String,
        /// HTTP status code.
        status: u16,
        /// The host's own words, cut short; may be empty.
        message: String,
    },
    /// A host is overloaded, or has had enough requests, and says when to come back.
    #[error(
        "`{host}` answered {status} to {action} and asks to wait {seconds} s{detail}",
        detail = detail(.message)
    )]
    Later {
        /// The host.
        host: String,
        /// HTTP status code.
        status: u16,
        /// What was attempted.
        action: &'static str,
        /// How long it asks to wait (Retry-After).
        seconds: u64,
        /// The host's own words, cut short; may be empty.
        message: String,
    },
    /// The TLS handshake failed.
    #[error("no trusted TLS connection to `{host}`: {reason}")]
    Tls {
        /// The host.
        host: String,
        /// What the TLS library says.
        reason: String,
    },
    /// No connection could be made.
    #[error("cannot connect to `{host}`")]
    Connect {
        /// The host.
        host: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The connection broke, and retrying did not help.
    #[error("connection to `{host}` broke")]
    Broken {
        /// The host.
        host: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// No byte came for as long as the stall timeout.
    #[error("`{host}` stalled: no data for {seconds} s")]
    Stalled {
        /// The host.
        host: String,
        /// The stall timeout.
        seconds: u64,
    },
    /// An answer with an unexpected status.
    #[error("`{host}` answered {status} to {action}{detail}", detail = detail(.message))]
    Status {
        /// The host.
        host: String,
        /// HTTP status code.
        status: u16,
        /// What was attempted.
        action: &'static str,
        /// The registry's own words, cut short; may be empty.
        message: String,
    },
    /// A range was asked for and a different one came.
    #[error(
        "`{host}` answered the wrong range of `{digest}`: asked from byte {asked}, got `{got}`"
    )]
    WrongRange {
        /// The host.
        host: String,
        /// The blob.
        digest: Box<Digest>,
        /// First byte asked for.
        asked: u64,
        /// The Content-Range header received.
        got: String,
    },
    /// A document exceeds its limit.
    #[error("{what} from `{host}` is larger than {limit} bytes")]
    TooBig {
        /// The host.
        host: String,
        /// Which document.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// A blob is shorter or longer than its descriptor says.
    #[error("blob `{digest}` has {found} bytes where its descriptor says {expected}")]
    WrongSize {
        /// The blob.
        digest: Digest,
        /// Bytes promised.
        expected: u64,
        /// Bytes found, or announced.
        found: u64,
    },
    /// The content does not hash to its digest.
    #[error("content has digest `{found}` where `{expected}` was asked for ({size} bytes)")]
    WrongDigest {
        /// The digest asked for.
        expected: Box<Digest>,
        /// The digest of what came.
        found: Box<Digest>,
        /// How many bytes came.
        size: u64,
    },
    /// A manifest that reads as an image or as an index (CVE-2021-41190), or as neither.
    #[error("manifest `{digest}` is ambiguous: {reason}")]
    AmbiguousManifest {
        /// Digest of the document.
        digest: Digest,
        /// What contradicts what.
        reason: &'static str,
    },
    /// The WWW-Authenticate header cannot be used.
    #[error("`{host}` asks for a login in a way that cannot be followed: {reason}")]
    Challenge {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// A redirect that must not be followed.
    #[error("`{host}` redirects where creel does not follow: {reason}")]
    Redirect {
        /// The host.
        host: String,
        /// Why.
        reason: &'static str,
    },
    /// An answer that the protocol does not allow.
    #[error("`{host}` gave an answer that cannot be read: {reason}")]
    Protocol {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// The source of an upload failed.
    #[error("cannot read what is to be pushed")]
    ReadUpload(#[source] io::Error),
    /// A certificate file could not be used.
    #[error("cannot use certificate file `{path}`: {reason}", path = .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Credentials could not be had.
    #[error("cannot get credentials for `{registry}`")]
    Credentials {
        /// The registry's host.
        registry: String,
        /// Why.
        #[source]
        source: crate::credentials::CredentialError,
    },
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Error {
    /// Gets the error back out of an [`io::Error`] made by a blob reader.
    ///
    /// # Errors
    ///
    /// The I/O error itself when it is not one of ours.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }

    /// Wraps the error for a [`std::io::Read`].
    pub fn into_io(self) -> io::Error {
        let kind = match self {
            Self::Stalled { .. } => io::ErrorKind::TimedOut,
            Self::WrongSize { .. } | Self::WrongDigest { .. } | Self::WrongRange { .. } => {
                io::ErrorKind::InvalidData
            }
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }

    /// Whether another attempt may succeed.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Stalled { .. })
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { registry, logged_in: false, .. } => {
                Some(format!("run `creel login {registry}` if the image is private"))
            }
            Self::Refused { registry, .. } => {
                Some(format!("run `creel login {registry}` with an account that may do this"))
            }
            Self::RefusedElsewhere { .. } => Some(
                "try again; if it stays, whoever runs the registry has to mend it: no login there \
                 helps"
                    .to_owned(),
            ),
            Self::Later { seconds, .. } => {
                Some(format!("try again in {seconds} s: what was downloaded is kept"))
            }
            Self::UnknownImage { .. } => Some("check the name and the tag for typos".to_owned()),
            // An alert received is the registry's verdict on our certificate, or the lack of one.
            Self::Tls { host, reason } if reason.contains("received fatal alert") => Some(format!(
                "if the registry wants a client certificate, put it into \
                 `/etc/containers/certs.d/{host}/` as `client.cert` and `client.key`"
            )),
            Self::Tls { host, .. } => Some(format!(
                "put the registry's CA into `/etc/containers/certs.d/{host}/ca.crt`, or pass \
                 `--tls-verify=false` for a registry you trust"
            )),
            Self::WrongDigest { .. } | Self::WrongSize { .. } => {
                Some("pull again; if it stays, the registry or a proxy alters data".to_owned())
            }
            _ => None,
        }
    }
}
