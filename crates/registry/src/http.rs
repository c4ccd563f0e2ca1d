//! HTTP as the client needs it, behind a trait so that tests and other stacks can stand in.

use std::io::{self, Read};

use crate::url::Url;

/// How strictly a registry's transport is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// HTTPS with a certificate that verifies.
    #[default]
    Verify,
    /// HTTPS with any certificate, else plain HTTP (`--tls-verify=false`, `insecure = true`).
    AllowInsecure,
}

/// A request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// What a request carries.
pub enum Payload<'a> {
    /// Nothing.
    Empty,
    /// A document.
    Bytes(&'a [u8]),
    /// `length` bytes from a reader.
    Stream {
        /// The bytes.
        reader: &'a mut dyn Read,
        /// How many.
        length: u64,
    },
}

/// One request; redirects are not followed by the transport.
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub payload: Payload<'a>,
    /// Certificate checks.
    pub tls: TlsPolicy,
}

/// An answer with its body unread.
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, and values that are UTF-8.
    pub headers: Vec<(String, String)>,
    /// The body. A stall is an error of kind `TimedOut`, a cut one of `UnexpectedEof`.
    pub body: Box<dyn Read + Send>,
}

impl Response {
    /// Returns the first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads the body up to `limit` bytes; `None` when there is more.
    ///
    /// # Errors
    ///
    /// The body's own.
    pub fn read_up_to(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.body.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }
}

/// Why there is no response.
#[derive(Debug)]
pub enum TransportError {
    /// No connection: name not found, refused, unreachable.
    Connect(io::Error),
    /// The TLS handshake failed.
    Tls(String),
    /// Connected, and then cut or unreadable.
    Broken(io::Error),
    /// No byte came in time.
    Stalled,
    /// The certificates for the host could not be loaded.
    Setup(Box<crate::error::Error>),
}

/// Sends requests, one connection or many.
pub trait Transport: Send + Sync {
    /// Sends one request and returns when the headers of the response have come.
    ///
    /// # Errors
    ///
    /// When there is no response; a status of any kind is no error.
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError>;
}
