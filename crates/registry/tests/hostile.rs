//! The client against registries that misbehave.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::Read;
use std::time::Duration;

use creel_base::digest::Digest;
use creel_base::hint::Hint as _;
use creel_base::media_type::MediaType;
use creel_registry::client::{MinRate, Pushed, RetryPolicy, VerifyingReader};
use creel_registry::credentials::{Anonymous, Credential, CredentialSource, Fixed};
use creel_registry::http::TlsPolicy;
use creel_registry::{Client, Config, Error, Repository};
use creel_testkit::registry::{Auth, FakeRegistry, Fault};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn config() -> Config {
    let retry =
        RetryPolicy { attempts: 3, base: Duration::from_millis(1), cap: Duration::from_millis(50) };
    let slowest = MinRate { bytes: 1000, time: Duration::from_millis(300) };
    Config { stall_timeout: Duration::from_millis(300), slowest, retry, ..Config::default() }
}

fn open_as(registry: &FakeRegistry, credentials: Box<dyn CredentialSource>) -> Repository {
    let client = Client::new(config(), credentials);
    client.repository(registry.address(), "a", TlsPolicy::AllowInsecure)
}

fn open(registry: &FakeRegistry) -> Repository {
    open_as(registry, Box::new(Anonymous))
}

fn with_blob() -> (FakeRegistry, Vec<u8>, Digest) {
    let registry = FakeRegistry::start().unwrap();
    let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::sha256(&data);
    registry.put(&format!("/v2/a/blobs/{digest}"), "application/octet-stream", &data);
    (registry, data, digest)
}

/// Reads the blob to its end and verifies it.
fn read(registry: &FakeRegistry, digest: Digest, size: u64) -> Result<Vec<u8>, Error> {
    let blob = open(registry).blob(digest, size, 0)?;
    let mut bytes = Vec::new();
    match VerifyingReader::new(blob, digest, size).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::from_io(error).unwrap()),
    }
}

#[test]
fn cuts_stalls_and_failures_are_overcome() {
    let unavailable =
        |after: &str| Fault::Status(503, vec![("retry-after".to_owned(), after.to_owned())]);
    for faults in [
        vec![],
        vec![Fault::Cut(0)],
        vec![Fault::Cut(1000), Fault::Cut(70_000), Fault::Cut(5)],
        vec![Fault::Stall(Duration::from_secs(2))],
        vec![Fault::Cut(1000), Fault::IgnoreRange],
        vec![Fault::Drip(Duration::from_millis(30)), Fault::Drip(Duration::from_millis(100))],
        vec![unavailable("9999"), unavailable("0"), Fault::Status(429, vec![])],
    ] {
        let (registry, data, digest) = with_blob();
        for fault in &faults {
            registry.fault("/blobs/", fault.clone());
        }
        assert!(read(&registry, digest, data.len() as u64).unwrap() == data, "{faults:?}");
    }
}

#[test]
fn a_download_resumes_where_it_stopped() {
    let (registry, data, digest) = with_blob();
    let mut rest = Vec::new();
    open(&registry).blob(digest, data.len() as u64, 1234).unwrap().read_to_end(&mut rest).unwrap();
    assert!(rest == data[1234..]);
}

#[test]
fn altered_long_and_short_blobs_are_named() {
    let (registry, data, digest) = with_blob();
    let size = data.len() as u64;
    registry.fault("/blobs/", Fault::Alter);
    assert!(matches!(read(&registry, digest, size), Err(Error::WrongDigest { .. })));
    assert!(matches!(read(&registry, digest, size - 1), Err(Error::WrongSize { .. })));
    assert!(matches!(read(&registry, digest, size + 1), Err(Error::WrongSize { .. })));
    assert!(matches!(read(&registry, Digest::sha256(b""), 1), Err(Error::UnknownBlob { .. })));
}

#[test]
fn wrong_ranges_are_refused() {
    for range in ["bytes 0-399999/400000", "bytes 1000-399998/400000", "bytes 1000-399999/5", "x"] {
        let (registry, data, digest) = with_blob();
        registry.fault("/blobs/", Fault::Cut(1000));
        registry.fault("/blobs/", Fault::Range(range.to_owned()));
        let error = read(&registry, digest, data.len() as u64).unwrap_err();
        assert!(matches!(error, Error::WrongRange { asked: 1000, .. }), "{range}: {error}");
    }
}

#[test]
fn giving_up_says_why() {
    let (registry, data, digest) = with_blob();
    for _ in 0..9 {
        registry.fault("/blobs/", Fault::Cut(0));
    }
    let error = read(&registry, digest, data.len() as u64).unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error}");
}

#[test]
fn a_redirect_gets_no_credentials() {
    let (registry, data, digest) = with_blob();
    let other = FakeRegistry::start().unwrap();
    other.put("/elsewhere", "application/octet-stream", &data);
    registry.demand(Auth::Header("Basic bWU6cHc=".into(), "Basic realm=\"x\"".into()));
    let location = format!("http://{}/elsewhere", other.address());
    registry.fault("/blobs/", Fault::Status(307, vec![("location".into(), location)]));
    let credential = Credential::Basic { username: "me".into(), password: "pw".into() };
    let fixed = Fixed { registry: registry.address().to_owned(), credential };
    let repository = open_as(&registry, Box::new(fixed));
    assert!(repository.small_blob(digest, data.len() as u64).unwrap() == data);
    let seen = other.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].headers.contains_key("authorization"));
}

#[test]
fn tokens_are_fetched_once_and_refusals_named() {
    let (registry, data, digest) = with_blob();
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", registry.address());
    registry.demand(Auth::Header("Bearer t0k".into(), challenge));
    registry.put("/token", "application/json", br#"{"token":"t0k"}"#);
    let repository = open(&registry);
    for _ in 0..2 {
        repository.small_blob(digest, data.len() as u64).unwrap();
    }
    let tokens = registry.seen().iter().filter(|s| s.path.starts_with("/token")).count();
    assert_eq!(tokens, 1);
    registry.put("/token", "application/json", br#"{"token":"wrong"}"#);
    let error = open(&registry).small_blob(digest, 9).unwrap_err();
    assert!(matches!(error, Error::Refused { logged_in: false, .. }), "{error}");
}

#[test]
fn manifests_are_checked() {
    let registry = FakeRegistry::start().unwrap();
    let good = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;
    registry.put("/v2/a/manifests/1", MANIFEST, good);
    registry.put("/v2/a/manifests/2", MANIFEST, br#"{"manifests":[],"layers":[]}"#);
    registry.put("/v2/a/manifests/3", MANIFEST, &vec![b' '; (4 << 20) + 1]);
    let lie = Digest::sha256(b"other");
    registry.put(&format!("/v2/a/manifests/{lie}"), MANIFEST, good);
    let repository = open(&registry);
    assert_eq!(repository.manifest("1").unwrap().bytes, good);
    assert!(matches!(repository.manifest("2"), Err(Error::AmbiguousManifest { .. })));
    assert!(matches!(repository.manifest("3"), Err(Error::TooBig { .. })));
    assert!(matches!(repository.manifest("4"), Err(Error::UnknownImage { .. })));
    assert!(matches!(repository.manifest(&lie.to_string()), Err(Error::WrongDigest { .. })));
}

#[test]
fn a_refused_connection_is_named() {
    let client = Client::new(config(), Box::new(Anonymous));
    let error = client.repository("127.0.0.1:1", "a", TlsPolicy::Verify).manifest("1").unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[test]
fn plain_http_is_not_tried_unasked() {
    let registry = FakeRegistry::start().unwrap();
    let client = Client::new(config(), Box::new(Anonymous));
    let error = client.repository(registry.address(), "a", TlsPolicy::Verify).ping().unwrap_err();
    assert!(registry.seen().iter().all(|s| !s.path.starts_with("/v2/")), "{error}");
}

#[test]
fn pushes_once_and_then_finds_it() {
    let registry = FakeRegistry::start().unwrap();
    let repository = open(&registry);
    let digest = Digest::sha256(b"layer");
    let push = || repository.push_blob(digest, 5, None, &|| Ok(Box::new(&b"layer"[..]))).unwrap();
    assert_eq!(push(), Pushed::Sent);
    assert_eq!(push(), Pushed::Present);
    let media_type = MediaType::new(MANIFEST);
    repository.put_manifest("v1", &media_type, b"{\"layers\":[]}").unwrap();
    assert_eq!(repository.manifest("v1").unwrap().bytes, b"{\"layers\":[]}");
}

#[test]
fn token_redirects_stay_at_their_origin() {
    let other = FakeRegistry::start().unwrap();
    other.put("/new", "application/json", br#"{"token":"t0k"}"#);
    let elsewhere = format!("http://{}/new", other.address());
    for (location, times, accepted) in
        [("/new", 1, true), ("/token", 9, false), (&elsewhere, 1, false)]
    {
        let (registry, data, digest) = with_blob();
        let challenge = format!("Bearer realm=\"http://{}/token\"", registry.address());
        registry.demand(Auth::Header("Bearer t0k".into(), challenge));
        registry.put("/new", "application/json", br#"{"token":"t0k"}"#);
        for _ in 0..times {
            let headers = vec![("location".to_owned(), location.to_owned())];
            registry.fault("/token", Fault::Status(302, headers));
        }
        let found = open(&registry).small_blob(digest, data.len() as u64);
        assert_eq!(found.is_ok(), accepted, "{location}");
        assert!(accepted || matches!(found, Err(Error::Redirect { .. })), "{location}");
    }
    assert!(other.seen().is_empty());
}

#[test]
fn a_redirect_target_names_no_realm() {
    let (registry, _, digest) = with_blob();
    let other = FakeRegistry::start().unwrap();
    let challenge = format!("Bearer realm=\"http://{}/token\"", other.address());
    let challenge = vec![("www-authenticate".to_owned(), challenge)];
    other.fault("/elsewhere", Fault::Status(401, challenge));
    let location = vec![("location".into(), format!("http://{}/elsewhere", other.address()))];
    registry.fault("/blobs/", Fault::Status(307, location));
    let credential = Credential::Basic { username: "me".into(), password: "pw".into() };
    let fixed = Fixed { registry: registry.address().to_owned(), credential };
    let error = open_as(&registry, Box::new(fixed)).small_blob(digest, 9).unwrap_err();
    assert!(matches!(error, Error::RefusedElsewhere { status: 401, .. }), "{error}");
    assert_eq!(other.seen().len(), 1);
}

#[test]
fn the_refusal_of_a_redirect_target_is_its_own() {
    let (registry, _, digest) = with_blob();
    let other = FakeRegistry::start().unwrap();
    other.fault("/elsewhere", Fault::Status(403, Vec::new()));
    let location = vec![("location".into(), format!("http://{}/elsewhere", other.address()))];
    registry.fault("/blobs/", Fault::Status(307, location));
    let error = open(&registry).small_blob(digest, 9).unwrap_err();
    let (host, registry) = (other.address(), registry.address());
    let words = format!("`{host}`, where `{registry}` redirects to, answered 403");
    assert_eq!(error.to_string(), words);
    assert!(!error.hint().unwrap().contains("creel login"));
}

#[test]
fn how_long_a_registry_asks_to_wait_is_told() {
    let (registry, _, digest) = with_blob();
    for _ in 0..9 {
        let after = vec![("retry-after".to_owned(), "3600".to_owned())];
        registry.fault("/blobs/", Fault::Status(429, after));
    }
    let error = open(&registry).small_blob(digest, 9).unwrap_err();
    let words = "answered 429 to a blob request and asks to wait 3600 s";
    assert!(error.to_string().ends_with(words), "{error}");
    assert_eq!(error.hint().unwrap(), "try again in 3600 s: what was downloaded is kept");
}
