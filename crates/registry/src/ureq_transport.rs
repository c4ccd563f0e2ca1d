//! [`Transport`] on ureq and rustls.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy, SendBody};

use crate::client::{Config, MinRate};
use crate::error::Error;
use crate::http::{Method, Payload, Request, Response, TlsPolicy, Transport, TransportError};
use crate::steady::Steady;
use crate::url::{Scheme, Url};

/// One agent (a connection pool) for each host, because certificates differ by host.
pub(crate) struct UreqTransport {
    config: Config,
    agents: Mutex<HashMap<(String, TlsPolicy), Agent>>,
}

impl UreqTransport {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, agents: Mutex::new(HashMap::new()) }
    }

    fn agent(&self, url: &Url, policy: TlsPolicy) -> Result<Agent, TransportError> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (url.origin(), policy);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let agent = self.build(url, policy)?;
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    fn build(&self, url: &Url, policy: TlsPolicy) -> Result<Agent, TransportError> {
        let stall = Some(self.config.stall_timeout);
        Ok(Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(self.proxy(url)?)
            .user_agent(self.config.user_agent.as_str())
            .accept_encoding("identity")
            .timeout_connect(Some(self.config.connect_timeout))
            .timeout_per_read(stall)
            .timeout_per_write(stall)
            .timeout_await_100(Some(Duration::from_secs(1)))
            .max_idle_connections_per_host(8)
            .tls_config(self.tls(url, policy)?)
            .build()
            .into())
    }

    fn tls(&self, url: &Url, policy: TlsPolicy) -> Result<TlsConfig, TransportError> {
        let builder = TlsConfig::builder();
        if url.scheme() == Scheme::Http {
            return Ok(builder.root_certs(RootCerts::WebPki).build());
        }
        let certs = self
            .config
            .certs
            .load(url.authority())
            .map_err(|e| TransportError::Setup(Box::new(e)))?;
        Ok(builder
            .root_certs(certs.roots)
            .client_cert(certs.client)
            .disable_verification(policy == TlsPolicy::AllowInsecure)
            .build())
    }

    fn proxy(&self, url: &Url) -> Result<Option<Proxy>, TransportError> {
        let proxies = &self.config.proxies;
        let text = match url.scheme() {
            Scheme::Http => &proxies.http,
            Scheme::Https => &proxies.https,
        };
        match text {
            Some(text) if !proxies.skips(url.host()) => Proxy::new(text)
                .map(Some)
                .map_err(|e| TransportError::Connect(io::Error::other(e.to_string()))),
            _ => Ok(None),
        }
    }
}

impl Transport for UreqTransport {
    fn send(&self, mut request: Request<'_>) -> Result<Response, TransportError> {
        let agent = self.agent(&request.url, request.tls)?;
        let mut builder = ureq::http::Request::builder()
            .method(method(request.method))
            .uri(request.url.to_string());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let length = match &request.payload {
            Payload::Empty => None,
            Payload::Bytes(bytes) => Some(bytes.len() as u64),
            Payload::Stream { length, .. } => Some(*length),
        };
        if let Some(length) = length {
            builder = builder.header("content-length", length.to_string());
        }
        let bad = |e: ureq::http::Error| TransportError::Broken(io::Error::other(e.to_string()));
        let sent = match &mut request.payload {
            Payload::Empty if !takes_body(request.method) => {
                agent.run(builder.body(()).map_err(bad)?)
            }
            Payload::Empty => agent.run(builder.body(&[][..]).map_err(bad)?),
            Payload::Bytes(bytes) => agent.run(builder.body(*bytes).map_err(bad)?),
            Payload::Stream { reader, .. } => {
                agent.run(builder.body(SendBody::from_reader(*reader)).map_err(bad)?)
            }
        };
        sent.map(|sent| response(sent, self.config.slowest)).map_err(error)
    }
}

const fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

const fn takes_body(method: Method) -> bool {
    matches!(method, Method::Post | Method::Put | Method::Patch)
}

fn response(response: ureq::http::Response<ureq::Body>, slowest: MinRate) -> Response {
    let (parts, body) = response.into_parts();
    let text = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Response {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().filter_map(text).collect(),
        body: Box::new(Steady::new(Body(body.into_reader()), slowest)),
    }
}

struct Body<R>(R);

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|e| {
            let inner = e.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
            match inner {
                Some(ureq::Error::Timeout(_)) => io::Error::new(io::ErrorKind::TimedOut, e),
                _ => e,
            }
        })
    }
}

fn error(error: ureq::Error) -> TransportError {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            TransportError::Connect(io::ErrorKind::TimedOut.into())
        }
        ureq::Error::Timeout(_) => TransportError::Stalled,
        ureq::Error::HostNotFound => {
            TransportError::Connect(io::Error::new(io::ErrorKind::NotFound, "host not found"))
        }
        ureq::Error::Rustls(e) => TransportError::Tls(e.to_string()),
        ureq::Error::Tls(reason) => TransportError::Tls(reason.to_owned()),
        ureq::Error::Io(e) => io_error(e),
        e @ (ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_)) => {
            TransportError::Connect(io::Error::other(e.to_string()))
        }
        e => TransportError::Broken(io::Error::other(e.to_string())),
    }
}

fn io_error(e: io::Error) -> TransportError {
    use io::ErrorKind as Kind;
    match e.kind() {
        Kind::ConnectionRefused
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::AddrNotAvailable => TransportError::Connect(e),
        Kind::TimedOut | Kind::WouldBlock => TransportError::Stalled,
        // rustls reports a failed handshake as an I/O error of this kind.
        Kind::InvalidData => TransportError::Tls(e.to_string()),
        _ => TransportError::Broken(e),
    }
}

impl From<TransportFailure<'_>> for Error {
    fn from(failure: TransportFailure<'_>) -> Self {
        let host = failure.host.to_owned();
        match failure.error {
            TransportError::Connect(source) => Self::Connect { host, source },
            TransportError::Tls(reason) => Self::Tls { host, reason },
            TransportError::Broken(source) => Self::Broken { host, source },
            TransportError::Stalled => Self::Stalled { host, seconds: failure.stall.as_secs() },
            TransportError::Setup(error) => *error,
        }
    }
}

/// A transport error together with what its text needs.
pub(crate) struct TransportFailure<'a> {
    pub(crate) error: TransportError,
    pub(crate) host: &'a str,
    pub(crate) stall: Duration,
}
