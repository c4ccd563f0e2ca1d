//! One exchange: authentication, redirects, repetition.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::time::Duration;

use creel_base::printable::acts;

use super::Repository;
use crate::auth::{self, Demand};
use crate::credentials::Credential;
use crate::error::Error;
use crate::http::{Method, Payload, Request, Response, TlsPolicy, TransportError};
use crate::ureq_transport::TransportFailure;
use crate::url::{Scheme, Url};

/// Most redirects followed for one request.
const MAX_REDIRECTS: usize = 5;
/// Largest error document read, in bytes.
const MAX_ERROR: u64 = 64 * 1024;
/// Longest part of a registry's own words that is shown, in characters.
const MAX_MESSAGE: usize = 200;

/// What is sent; a stream is opened anew for each attempt.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Empty,
    Bytes(&'a [u8]),
    Open { open: Opener<'a>, length: u64 },
}

pub(super) type Opener<'a> = &'a dyn Fn() -> io::Result<Box<dyn Read + Send>>;

/// A request that can be repeated.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content<'a>,
    pub(super) scope: String,
    pub(super) action: &'static str,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, url: Url, scope: String, action: &'static str) -> Self {
        Self { method, url, headers: Vec::new(), content: Content::Empty, scope, action }
    }
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    pub(super) const fn content(mut self, content: Content<'a>) -> Self {
        self.content = content;
        self
    }
}

impl Repository {
    pub(super) fn pull_scope(&self) -> String {
        format!("repository:{}:pull", self.name)
    }

    pub(super) fn push_scope(&self) -> String {
        format!("repository:{}:pull,push", self.name)
    }

    /// Sends until an answer comes that repetition will not change. The answer may be an error of
    /// the registry's; the refusal of another host is [`Error::RefusedElsewhere`].
    pub(super) fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        let policy = self.client.0.config.retry;
        let mut attempt = 0;
        let mut authenticated = false;
        loop {
            let (answer, from) = match self.send_once(call) {
                Ok((response, from)) => (Ok(response), Some(from)),
                Err(error) => (Err(error), None),
            };
            let again = match (&answer, &from) {
                // A host that was only redirected to must not name where credentials go.
                (Ok(response), Some(from))
                    if response.status == 401 && !authenticated && self.is_own(from)? =>
                {
                    authenticated = true;
                    self.authenticate(call, response)?;
                    continue;
                }
                (Ok(response), _) => is_transient(response.status).then(|| retry_after(response)),
                (Err(error), _) => error.is_transient().then_some(None),
            };
            match again {
                Some(wait) if attempt < policy.attempts => self.pause(attempt, wait),
                _ => return self.of_registry(answer?, from),
            }
            attempt += 1;
        }
    }

    /// Passes an answer on, unless it is the refusal of a host that was only redirected to: no login
    /// at the registry mends that.
    fn of_registry(&self, mut response: Response, from: Option<Url>) -> Result<Response, Error> {
        let (401 | 403, Some(from)) = (response.status, from) else { return Ok(response) };
        if self.is_own(&from)? {
            return Ok(response);
        }
        let (host, registry) = (from.authority().to_owned(), self.registry.clone());
        let (status, message) = (response.status, message(&mut response));
        Err(Error::RefusedElsewhere { host, registry, status, message })
    }

    /// Sends and turns every status outside `expected` into an error.
    pub(super) fn expect(&self, call: &Call<'_>, expected: &[u16]) -> Result<Response, Error> {
        let response = self.send(call)?;
        if expected.contains(&response.status) {
            return Ok(response);
        }
        Err(self.refusal(call, response))
    }

    /// Turns an unexpected answer into an error.
    pub(super) fn refusal(&self, call: &Call<'_>, mut response: Response) -> Error {
        match response.status {
            401 | 403 => Error::Refused {
                registry: self.registry.clone(),
                scope: call.scope.clone(),
                logged_in: self.credential().is_ok_and(|c| c.is_some()),
                message: message(&mut response),
            },
            _ => failed(call.url.authority(), call.action, response),
        }
    }

    fn credential(&self) -> Result<Option<Credential>, Error> {
        self.client
            .0
            .credentials
            .get(&self.registry, &self.name)
            .map_err(|source| Error::Credentials { registry: self.registry.clone(), source })
    }

    /// Sends once and follows redirects; returns also where the answer came from.
    fn send_once(&self, call: &Call<'_>) -> Result<(Response, Url), Error> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.transmit(call, &url)?;
            let location = response.header("location");
            let (301..=303 | 307 | 308, Some(location)) = (response.status, location) else {
                return Ok((response, url));
            };
            let refuse = |reason| Error::Redirect { host: url.authority().to_owned(), reason };
            if !matches!(call.method, Method::Get | Method::Head) {
                return Err(refuse("only downloads are redirected"));
            }
            let next = url.join(location).ok_or_else(|| refuse("its Location is no URL"))?;
            if url.is_downgrade(&next) {
                return Err(refuse("from https to http"));
            }
            url = next;
        }
        let host = call.url.authority().to_owned();
        Err(Error::Redirect { host, reason: "too many redirects" })
    }

    /// Sends to `url`, with credentials only if that is where the registry itself lives.
    fn transmit(&self, call: &Call<'_>, url: &Url) -> Result<Response, Error> {
        let mut headers = call.headers.clone();
        if self.is_own(url)? {
            let key = (self.registry.clone(), call.scope.clone());
            if let Some(token) = self.lock(&self.client.0.tokens).get(&key) {
                headers.push(("authorization", token.clone()));
            }
        }
        let mut stream;
        let payload = match call.content {
            Content::Empty => Payload::Empty,
            Content::Bytes(bytes) => Payload::Bytes(bytes),
            Content::Open { open, length } => {
                stream = open().map_err(Error::ReadUpload)?;
                Payload::Stream { reader: &mut stream, length }
            }
        };
        self.raw(Request { method: call.method, url: url.clone(), headers, payload, tls: self.tls })
    }

    fn is_own(&self, url: &Url) -> Result<bool, Error> {
        Ok(Url::new(self.scheme()?, self.api_host(), "/").same_origin(url))
    }

    fn raw(&self, request: Request<'_>) -> Result<Response, Error> {
        let host = request.url.authority().to_owned();
        let stall = self.client.0.config.stall_timeout;
        let sent = self.client.0.transport.send(request);
        sent.map_err(|error| TransportFailure { error, host: &host, stall }.into())
    }

    /// Answers a 401: gets a token, or prepares basic authentication.
    fn authenticate(&self, call: &Call<'_>, response: &Response) -> Result<(), Error> {
        let challenges = response.headers.iter().filter(|(name, _)| name == "www-authenticate");
        let values: Vec<&str> = challenges.map(|(_, value)| value.as_str()).collect();
        let authorization = match auth::demand(&values, &call.url)? {
            Demand::Basic => match self.credential()? {
                Some(Credential::Basic { username, password }) => auth::basic(&username, &password),
                _ => return Err(self.refused(call, false, String::new())),
            },
            Demand::Bearer { realm, service, scope } => {
                // The registry may ask for more than we know of (a mount's source, for one).
                let scope = scope.unwrap_or_else(|| call.scope.clone());
                self.fetch_token(call, &realm, service.as_deref(), &scope)?
            }
        };
        let key = (self.registry.clone(), call.scope.clone());
        self.lock(&self.client.0.tokens).insert(key, authorization);
        Ok(())
    }

    fn fetch_token(
        &self,
        call: &Call<'_>,
        realm: &Url,
        service: Option<&str>,
        scope: &str,
    ) -> Result<String, Error> {
        let credential = self.credential()?;
        let policy = self.client.0.config.retry;
        let mut attempt = 0;
        let mut response = loop {
            let request = auth::token_request(realm, service, scope, credential.as_ref());
            let answer = self.raw_token(&request);
            let wait = match &answer {
                Ok(response) => is_transient(response.status).then(|| retry_after(response)),
                Err(error) => error.is_transient().then_some(None),
            };
            match wait {
                Some(wait) if attempt < policy.attempts => self.pause(attempt, wait),
                _ => break answer?,
            }
            attempt += 1;
        };
        let host = realm.authority().to_owned();
        match response.status {
            200 => {}
            400..=403 => {
                let message = message(&mut response);
                return Err(self.refused(call, credential.is_some(), message));
            }
            _ => return Err(failed(&host, "a token request", response)),
        }
        let body = read_document(&mut response, &host, "token", auth::MAX_TOKEN)?;
        let no_token = || Error::Challenge { host, reason: "it gave no usable token".to_owned() };
        auth::read_token(&body).ok_or_else(no_token)
    }

    fn raw_token(&self, request: &auth::TokenRequest) -> Result<Response, Error> {
        let mut headers = vec![("accept", "application/json".to_owned())];
        headers.extend(request.authorization.clone().map(|value| ("authorization", value)));
        let (method, mut url) = (request.method, request.url.clone());
        if request.form.is_some() {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        }
        for _ in 0..=MAX_REDIRECTS {
            let form = request.form.as_deref();
            let payload = form.map_or(Payload::Empty, |form| Payload::Bytes(form.as_bytes()));
            let (headers, tls) = (headers.clone(), self.tls);
            let response = self.raw(Request { method, url: url.clone(), headers, payload, tls })?;
            match token_redirect(&url, method, &response)? {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        let host = url.authority().to_owned();
        Err(Error::Redirect { host, reason: "too many redirects" })
    }

    fn refused(&self, call: &Call<'_>, logged_in: bool, message: String) -> Error {
        let (registry, scope) = (self.registry.clone(), call.scope.clone());
        Error::Refused { registry, scope, logged_in, message }
    }

    /// Sleeps before repetition number `attempt`, by Retry-After or with doubling and jitter.
    pub(super) fn pause(&self, attempt: u32, retry_after: Option<Duration>) {
        let policy = self.client.0.config.retry;
        let doubled = policy.base.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
        // Half to all of it, so that many clients do not come back at once.
        let jitter = (RandomState::new().build_hasher().finish() % 512) as u32 + 512;
        let wait =
            retry_after.unwrap_or_else(|| doubled.min(policy.cap).saturating_mul(jitter) / 1024);
        std::thread::sleep(wait.min(policy.cap));
    }

    /// HTTPS, or HTTP where nothing speaks TLS; only where the user allows it.
    ///
    /// A stall or a garbled answer says nothing about the scheme and is an error.
    pub(super) fn probe_scheme(&self) -> Result<Scheme, Error> {
        let url = Url::new(Scheme::Https, self.api_host(), "/v2/");
        let (method, tls) = (Method::Get, TlsPolicy::AllowInsecure);
        let request = Request { method, url, headers: Vec::new(), payload: Payload::Empty, tls };
        match self.client.0.transport.send(request) {
            Ok(_) => Ok(Scheme::Https),
            Err(error) if speaks_no_tls(&error) => Ok(Scheme::Http),
            Err(error) => {
                let stall = self.client.0.config.stall_timeout;
                Err(TransportFailure { error, host: self.api_host(), stall }.into())
            }
        }
    }

    /// Checks that the registry answers and takes the credentials (`login`).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when it does not take them; else what kept it from answering.
    pub fn ping(&self) -> Result<(), Error> {
        let url = Url::new(self.scheme()?, self.api_host(), "/v2/");
        self.expect(&Call::new(Method::Get, url, String::new(), "a ping"), &[200]).map(drop)
    }
}

/// Where a token endpoint leads on to: elsewhere on its own origin, since credentials go along.
fn token_redirect(url: &Url, method: Method, response: &Response) -> Result<Option<Url>, Error> {
    let (301 | 302 | 307 | 308, Some(location)) = (response.status, response.header("location"))
    else {
        return Ok(None);
    };
    let refuse = |reason| Error::Redirect { host: url.authority().to_owned(), reason };
    if method != Method::Get {
        return Err(refuse("a refresh token is sent to its endpoint only"));
    }
    let next = url.join(location).ok_or_else(|| refuse("its Location is no URL"))?;
    if next.same_origin(url) {
        Ok(Some(next))
    } else {
        Err(refuse("credentials stay at their host"))
    }
}

/// Whether a first request by HTTPS failed before any TLS session was there.
fn speaks_no_tls(error: &TransportError) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error {
        TransportError::Connect(_) | TransportError::Tls(_) => true,
        // Some servers hang up on a ClientHello instead of answering 400.
        TransportError::Broken(e) => {
            matches!(e.kind(), ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
        TransportError::Stalled | TransportError::Setup(_) => false,
    }
}

/// An answer that is neither what was asked for nor a refusal.
fn failed(host: &str, action: &'static str, mut response: Response) -> Error {
    let (host, status) = (host.to_owned(), response.status);
    let wait = retry_after(&response).filter(|_| is_transient(status));
    let message = message(&mut response);
    match wait.map(|wait| wait.as_secs()) {
        None => Error::Status { host, status, action, message },
        Some(seconds) => Error::Later { host, status, action, seconds, message },
    }
}

/// Reads a bounded document.
pub(super) fn read_document(
    response: &mut Response,
    host: &str,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let host = host.to_owned();
    match response.read_up_to(limit) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Error::TooBig { host, what, limit }),
        Err(source) => Err(Error::Broken { host, source }),
    }
}

const fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The registry's own words (distribution specification, "error codes"), cut and cleaned.
fn message(response: &mut Response) -> String {
    let Ok(Some(body)) = response.read_up_to(MAX_ERROR) else { return String::new() };
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return String::new();
    };
    let text = |key| document.pointer(&format!("/errors/0/{key}")).and_then(|v| v.as_str());
    let words =
        [text("code"), text("message")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    words.chars().filter(|c| !acts(*c)).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_handshake_leads_to_plain_http() {
        let broken = |kind: io::ErrorKind| TransportError::Broken(kind.into());
        for (error, plain) in [
            (TransportError::Connect(io::ErrorKind::ConnectionRefused.into()), true),
            (TransportError::Tls("not TLS".to_owned()), true),
            (broken(io::ErrorKind::UnexpectedEof), true),
            (broken(io::ErrorKind::Other), false),
            (TransportError::Stalled, false),
        ] {
            assert_eq!(speaks_no_tls(&error), plain, "{error:?}");
        }
    }
}
