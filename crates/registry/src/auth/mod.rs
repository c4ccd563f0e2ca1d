//! The token flow (distribution specification, "authentication"; Docker token specification).

pub mod challenge;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::credentials::Credential;
use crate::error::Error;
use crate::http::Method;
use crate::url::{Scheme, Url, encode};
use challenge::Challenge;

/// What a registry wants before it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Basic,
    Bearer { realm: Url, service: Option<String>, scope: Option<String> },
}

/// A request to a token endpoint.
pub(crate) struct TokenRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) authorization: Option<String>,
    pub(crate) form: Option<String>,
}

/// Reads the demand out of a 401's headers; bearer before basic.
///
/// A realm is where credentials go, so it must be HTTPS, unless the registry itself was reached by
/// plain HTTP and the realm is on the same host. That the user allowed one insecure registry is no
/// leave to send credentials in the clear to whatever host that registry names.
pub(crate) fn demand(headers: &[&str], registry: &Url) -> Result<Demand, Error> {
    let refuse =
        |reason: String| Error::Challenge { host: registry.authority().to_owned(), reason };
    let mut challenges = Vec::new();
    for header in headers {
        challenges.extend(challenge::parse(header).map_err(|e| refuse(e.to_string()))?);
    }
    let of = |scheme: &str| challenges.iter().find(|c| c.scheme == scheme);
    match (of("bearer"), of("basic")) {
        (Some(bearer), _) => bearer_demand(bearer, registry).map_err(|r| refuse(r.to_owned())),
        (None, Some(_)) => Ok(Demand::Basic),
        (None, None) => Err(refuse("neither basic nor bearer is offered".to_owned())),
    }
}

fn bearer_demand(challenge: &Challenge, registry: &Url) -> Result<Demand, &'static str> {
    let realm = challenge.get("realm").ok_or("the bearer challenge has no realm")?;
    let realm = Url::parse(realm).ok_or("the realm is not an http or https URL")?;
    let plain = registry.scheme() == Scheme::Http;
    let trusted = realm.scheme() == Scheme::Https || (plain && realm.host() == registry.host());
    if !trusted {
        return Err("the realm would send credentials in the clear");
    }
    let own = |name| challenge.get(name).map(str::to_owned);
    Ok(Demand::Bearer { realm, service: own("service"), scope: own("scope") })
}

/// Returns the value of an Authorization header for basic authentication.
pub(crate) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// Builds the request for an access token.
pub(crate) fn token_request(
    realm: &Url,
    service: Option<&str>,
    scope: &str,
    credential: Option<&Credential>,
) -> TokenRequest {
    if let Some(Credential::IdentityToken(token)) = credential {
        let form = format!(
            "grant_type=refresh_token&client_id=creel&service={}&scope={}&refresh_token={}",
            encode(service.unwrap_or_default()),
            encode(scope),
            encode(token)
        );
        let url = realm.clone();
        return TokenRequest { method: Method::Post, url, authorization: None, form: Some(form) };
    }
    let mut url = realm.clone();
    if let Some(service) = service {
        url = url.with_query("service", service);
    }
    for one in scope.split(' ').filter(|s| !s.is_empty()) {
        url = url.with_query("scope", one);
    }
    let authorization = match credential {
        Some(Credential::Basic { username, password }) => Some(basic(username, password)),
        _ => None,
    };
    TokenRequest { method: Method::Get, url, authorization, form: None }
}

/// Largest answer of a token endpoint, in bytes.
pub(crate) const MAX_TOKEN: u64 = 256 * 1024;

/// Reads the access token out of a token endpoint's answer, as an Authorization value.
pub(crate) fn read_token(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = answer.token.filter(|t| !t.is_empty()).or(answer.access_token)?;
    let visible = !token.is_empty() && token.bytes().all(|b| (0x21..0x7f).contains(&b));
    visible.then(|| format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_in_the_clear_are_refused() {
        let https = Url::parse("https://r.io/").unwrap();
        let http = Url::parse("http://r.io:5000/").unwrap();
        for (registry, realm, trusted) in [
            (&https, "https://auth.io/token", true),
            (&https, "http://r.io/token", false),
            (&http, "http://r.io:5001/token", true),
            (&http, "http://169.254.169.254/latest", false),
            (&https, "file:///etc/passwd", false),
        ] {
            let header = format!("Bearer realm=\"{realm}\"");
            assert_eq!(demand(&[&header], registry).is_ok(), trusted, "{realm}");
        }
        assert_eq!(demand(&["Basic realm=x"], &https).unwrap(), Demand::Basic);
        assert!(demand(&["Negotiate"], &https).is_err());
    }

    #[test]
    fn tokens_must_fit_a_header() {
        assert_eq!(read_token(br#"{"token":"a"}"#).as_deref(), Some("Bearer a"));
        assert_eq!(read_token(br#"{"access_token":"b"}"#).as_deref(), Some("Bearer b"));
        assert_eq!(read_token(br#"{"token":"a\r\nX: y"}"#), None);
    }
}
