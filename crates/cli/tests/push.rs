//! What is sent to a registry, and what is not.
#![allow(clippy::unwrap_used)]

mod shared;

use shared::Host;
use shared::source::Source;

/// The digests of an image's layers.
fn layers(host: &Host, name: &str) -> Vec<String> {
    let text = host.runs(&["inspect", name]);
    let image: serde_json::Value = serde_json::from_str(&text).unwrap();
    let digest = |layer: &serde_json::Value| layer["digest"].as_str().unwrap().to_owned();
    image[0]["Layers"].as_array().unwrap().iter().map(digest).collect()
}

#[test]
fn what_another_repository_of_the_registry_has_is_not_sent() {
    let host = Host::new();
    let source = Source::new(&host);
    host.runs(&["pull", "-q", "--tls-verify=false", &source.remote]);
    let other = source.remote.replace("/app:", "/team/other:");
    host.runs(&["tag", &source.remote, &other]);
    host.runs(&["push", "-q", "--tls-verify=false", &other]);
    let seen = source.registry.seen();
    let digests = layers(&host, &other);
    assert_eq!(digests.len(), 3);
    for digest in digests {
        let mounted = format!("/v2/team/other/blobs/{digest}");
        let original = source.registry.document(&format!("/v2/app/blobs/{digest}"));
        assert!(original.is_some() && source.registry.document(&mounted) == original, "{digest}");
        let encoded = digest.replace(':', "%3A");
        let sent = seen.iter().filter(|seen| ["PUT", "PATCH"].contains(&seen.method.as_str()));
        let sent: Vec<_> = sent
            .filter(|seen| seen.path.contains(&encoded) || seen.path.contains(&digest))
            .collect();
        assert!(sent.is_empty(), "{sent:?}");
    }
    assert!(source.registry.document("/v2/team/other/manifests/latest").is_some());
}
