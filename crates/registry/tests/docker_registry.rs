//! The client against the reference registry, as Debian packages it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

mod privileged_docker_registry {
    use std::cell::Cell;
    use std::io::Read;

    use creel_base::digest::Digest;
    use creel_base::media_type::MediaType;
    use creel_registry::client::{Pushed, VerifyingReader};
    use creel_registry::credentials::Anonymous;
    use creel_registry::http::TlsPolicy;
    use creel_registry::{Client, Config, Error, Repository};

    use crate::support::DockerRegistry;

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    fn repository(registry: &DockerRegistry, name: &str) -> Repository {
        let client = Client::new(Config::default(), Box::new(Anonymous));
        client.repository(registry.address(), name, TlsPolicy::AllowInsecure)
    }

    /// Pushes and returns also how often the bytes were asked for.
    fn push(to: &Repository, data: &[u8], from: Option<&str>) -> (Pushed, u32) {
        let opened = Cell::new(0);
        let data: &'static [u8] = data.to_vec().leak();
        let open = || -> std::io::Result<Box<dyn Read + Send>> {
            opened.set(opened.get() + 1);
            Ok(Box::new(data))
        };
        let digest = Digest::sha256(data);
        (to.push_blob(digest, data.len() as u64, from, &open).unwrap(), opened.get())
    }

    fn push_image(to: &Repository, tag: &str, layer: &[u8]) -> (Vec<u8>, Digest) {
        push(to, b"{}", None);
        let describe = |data: &[u8], kind: &str| {
            let (digest, size) = (Digest::sha256(data), data.len());
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
        };
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
            describe(b"{}", "application/vnd.oci.image.config.v1+json"),
            describe(layer, "application/vnd.oci.image.layer.v1.tar"),
        );
        to.put_manifest(tag, &MediaType::new(MANIFEST), manifest.as_bytes()).unwrap();
        let digest = Digest::sha256(manifest.as_bytes());
        (manifest.into_bytes(), digest)
    }

    fn layer() -> Vec<u8> {
        (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn pushes_and_pulls_back_the_same_bytes() {
        let registry = DockerRegistry::start("");
        let (a, layer) = (repository(&registry, "team/a"), layer());
        a.ping().unwrap();
        assert_eq!(push(&a, &layer, None), (Pushed::Sent, 1));
        let (manifest, digest) = push_image(&a, "v1", &layer);
        assert_eq!(a.manifest("v1").unwrap().bytes, manifest);
        assert_eq!(a.manifest(&digest.to_string()).unwrap().digest, digest);
        assert_eq!(a.resolve("v1").unwrap(), Some(digest));
        let (size, wanted) = (layer.len() as u64, Digest::sha256(&layer));
        let mut pulled = Vec::new();
        let blob = a.blob(wanted, size, 0).unwrap();
        VerifyingReader::new(blob, wanted, size).read_to_end(&mut pulled).unwrap();
        assert!(pulled == layer);
    }

    #[test]
    fn a_second_push_sends_nothing() {
        let registry = DockerRegistry::start("");
        let (a, layer) = (repository(&registry, "a"), layer());
        assert_eq!(push(&a, &layer, None), (Pushed::Sent, 1));
        assert_eq!(push(&a, &layer, None), (Pushed::Present, 0));
    }

    #[test]
    fn another_repository_of_the_registry_is_mounted_from() {
        let registry = DockerRegistry::start("");
        let (a, b, layer) = (repository(&registry, "a"), repository(&registry, "b"), layer());
        push(&a, &layer, None);
        assert_eq!(push(&b, &layer, Some("a")), (Pushed::Mounted, 0));
        assert!(b.has_blob(Digest::sha256(&layer)).unwrap());
        assert_eq!(push(&b, b"only here", Some("a")), (Pushed::Sent, 1));
    }

    #[test]
    fn a_download_goes_on_by_range() {
        let registry = DockerRegistry::start("");
        let (a, layer) = (repository(&registry, "a"), layer());
        push(&a, &layer, None);
        for offset in [1, 700_000, layer.len() - 1, layer.len()] {
            let blob = a.blob(Digest::sha256(&layer), layer.len() as u64, offset as u64);
            let mut rest = Vec::new();
            blob.unwrap().read_to_end(&mut rest).unwrap();
            assert!(rest == layer[offset..], "{offset}");
        }
    }

    #[test]
    fn tags_are_listed_and_manifests_deleted() {
        let registry = DockerRegistry::start("");
        let (a, layer) = (repository(&registry, "a"), layer());
        assert!(matches!(a.tags(), Err(Error::UnknownImage { .. })));
        push(&a, &layer, None);
        let (_, digest) = push_image(&a, "v1", &layer);
        push_image(&a, "v2", &layer);
        let mut tags = a.tags().unwrap();
        tags.sort();
        assert_eq!(tags, ["v1", "v2"]);
        a.delete_manifest(&digest.to_string()).unwrap();
        assert!(matches!(a.manifest("v1"), Err(Error::UnknownImage { .. })));
        assert!(matches!(a.delete_manifest(&digest.to_string()), Err(Error::UnknownImage { .. })));
    }

    #[test]
    fn bytes_that_are_not_the_digest_are_refused() {
        let registry = DockerRegistry::start("");
        let a = repository(&registry, "a");
        let open = || -> std::io::Result<Box<dyn Read + Send>> { Ok(Box::new(&b"altered"[..])) };
        let error = a.push_blob(Digest::sha256(b"genuine"), 7, None, &open).unwrap_err();
        assert!(matches!(error, Error::Status { status: 400, .. }), "{error}");
    }
}
