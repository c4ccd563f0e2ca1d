//! Pushes, tag lists and refresh tokens against a scripted registry.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{self, Read};
use std::time::Duration;

use creel_base::digest::Digest;
use creel_registry::client::{Pushed, RetryPolicy};
use creel_registry::credentials::{Anonymous, AuthFiles, Credential, CredentialSource, Fixed};
use creel_registry::http::TlsPolicy;
use creel_registry::{Client, Config, Error, Repository};
use creel_testkit::registry::{Auth, FakeRegistry, Fault};

const LAYER: &[u8] = b"layer";

fn open(registry: &FakeRegistry, credentials: Box<dyn CredentialSource>) -> Repository {
    let retry =
        RetryPolicy { attempts: 2, base: Duration::from_millis(1), cap: Duration::from_millis(5) };
    let client = Client::new(Config { retry, ..Config::default() }, credentials);
    client.repository(registry.address(), "a", TlsPolicy::AllowInsecure)
}

fn push(repository: &Repository, from: Option<&str>) -> Result<Pushed, Error> {
    let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(LAYER)) };
    repository.push_blob(Digest::sha256(LAYER), LAYER.len() as u64, from, &open)
}

fn count(registry: &FakeRegistry, method: &str) -> usize {
    registry.seen().iter().filter(|seen| seen.method == method).count()
}

fn header(name: &str, value: impl Into<String>) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.into())]
}

#[test]
fn a_mount_sends_nothing_and_its_refusal_is_no_failure() {
    for (answer, expected, puts) in [(201, Pushed::Mounted, 0), (202, Pushed::Sent, 1)] {
        let registry = FakeRegistry::start().unwrap();
        let fault = Fault::Status(answer, header("location", "/v2/a/blobs/uploads/1"));
        registry.fault("mount=", fault);
        assert_eq!(push(&open(&registry, Box::new(Anonymous)), Some("b")).unwrap(), expected);
        assert_eq!(count(&registry, "PUT"), puts);
        let post = registry.seen().into_iter().find(|seen| seen.method == "POST").unwrap();
        assert!(post.path.ends_with("&from=b"), "{}", post.path);
    }
}

#[test]
fn a_push_is_repeated_with_all_its_bytes() {
    for (faults, posts, puts) in [
        (vec![503, 429], 1, 3),
        // The session is lost, so it takes a new one.
        (vec![404], 2, 2),
        (vec![503, 416], 2, 3),
    ] {
        let registry = FakeRegistry::start().unwrap();
        for status in &faults {
            registry.fault("/session", Fault::Status(*status, vec![]));
        }
        let pushed = push(&open(&registry, Box::new(Anonymous)), None).unwrap();
        assert_eq!(pushed, Pushed::Sent);
        let made = (count(&registry, "POST"), count(&registry, "PUT"));
        assert_eq!(made, (posts, puts), "{faults:?}");
        let path = format!("/v2/a/blobs/{}", Digest::sha256(LAYER));
        assert_eq!(registry.document(&path).as_deref(), Some(LAYER));
    }
}

#[test]
fn a_push_that_keeps_failing_ends() {
    for status in [404, 503] {
        let registry = FakeRegistry::start().unwrap();
        for _ in 0..9 {
            registry.fault("/session", Fault::Status(status, vec![]));
        }
        let error = push(&open(&registry, Box::new(Anonymous)), None).unwrap_err();
        assert!(matches!(error, Error::Status { status: s, .. } if s == status), "{error}");
        assert_eq!(count(&registry, "PUT"), 3);
    }
}

#[test]
fn an_upload_elsewhere_gets_no_credentials() {
    let (registry, other) = (FakeRegistry::start().unwrap(), FakeRegistry::start().unwrap());
    registry.demand(Auth::Header("Basic bWU6cHc=".into(), "Basic realm=x".into()));
    let location = format!("http://{}/storage/1?signature=x", other.address());
    registry.fault("/uploads/", Fault::Status(202, header("location", location)));
    let credential = Credential::Basic { username: "me".into(), password: "pw".into() };
    let fixed = Fixed { registry: registry.address().to_owned(), credential };
    assert_eq!(push(&open(&registry, Box::new(fixed)), None).unwrap(), Pushed::Sent);
    let seen = other.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].body.as_slice()), ("PUT", LAYER));
    assert!(seen[0].path.starts_with("/storage/1?signature=x&digest=sha256"), "{}", seen[0].path);
    assert!(!seen[0].headers.contains_key("authorization"));
}

#[test]
fn tag_pages_are_followed_within_the_registry() {
    let other = FakeRegistry::start().unwrap();
    let elsewhere = format!("<http://{}/v2/a/tags/list>; rel=\"next\"", other.address());
    for (link, expected) in [
        ("</v2/a/tags/more?last=b&n=2>; rel=\"next\"", &["a", "b", "c"][..]),
        ("</v2/a/tags/empty>; rel=\"next\"", &["a", "b"]),
        ("</v2/a/tags/more>; rel=\"prev\"", &["a", "b"]),
        ("/v2/a/tags/more", &["a", "b"]),
        (&elsewhere, &["a", "b"]),
    ] {
        let registry = FakeRegistry::start().unwrap();
        let put = |path: &str, json: &[u8]| registry.put(path, "application/json", json);
        put("/v2/a/tags/list", br#"{"name":"a","tags":["a","b"]}"#);
        put("/v2/a/tags/more", br#"{"name":"a","tags":["c"]}"#);
        put("/v2/a/tags/empty", br#"{"name":"a","tags":null}"#);
        registry.fault("/tags/list", Fault::Headers(header("link", link)));
        let tags = open(&registry, Box::new(Anonymous)).tags().unwrap();
        assert_eq!(tags, expected, "{link}");
    }
    assert!(other.seen().is_empty());
}

#[test]
fn an_endless_list_of_tags_ends() {
    let registry = FakeRegistry::start().unwrap();
    let page = format!("{{\"tags\":[{}\"a\"]}}", "\"a\",".repeat(60_000));
    registry.put("/v2/a/tags/list", "application/json", page.as_bytes());
    for _ in 0..9 {
        let next = header("link", "</v2/a/tags/list>; rel=\"next\"");
        registry.fault("/tags/list", Fault::Headers(next));
    }
    let error = open(&registry, Box::new(Anonymous)).tags().unwrap_err();
    assert!(matches!(error, Error::TooBig { .. }), "{error}");
}

#[test]
fn a_refresh_token_is_posted_to_the_realm_only() {
    let registry = FakeRegistry::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let entry =
        format!(r#"{{"auths":{{"{}":{{"identitytoken":"re+fresh"}}}}}}"#, registry.address());
    std::fs::write(&path, entry).unwrap();
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"s v\"", registry.address());
    registry.demand(Auth::Header("Bearer t0k".into(), realm));
    registry.put("/token", "application/json", br#"{"access_token":"t0k"}"#);
    registry.put("/v2/a/tags/list", "application/json", br#"{"tags":["1"]}"#);
    let repository = open(&registry, Box::new(AuthFiles { paths: vec![path] }));
    assert_eq!(repository.tags().unwrap(), ["1"]);
    let seen = registry.seen();
    let token = seen.iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!(token.method, "POST");
    assert_eq!(
        String::from_utf8_lossy(&token.body),
        "grant_type=refresh_token&client_id=creel&service=s%20v\
         &scope=repository%3Aa%3Apull&refresh_token=re%2Bfresh"
    );
    assert!(seen.iter().all(|seen| !seen.path.contains("fresh")));
}
