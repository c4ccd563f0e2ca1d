use super::*;

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn reference(text: &str) -> Reference {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn docker_hub_names() {
    for (typed, full, familiar) in [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:13", "docker.io/library/debian:13", "debian:13"),
        ("library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("docker.io/library/debian:13", "docker.io/library/debian:13", "debian:13"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost", "docker.io/library/localhost:latest", "localhost:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("a.b", "docker.io/library/a.b:latest", "a.b:latest"),
        ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"),
        ("docker.io/localhost/c", "docker.io/localhost/c:latest", "docker.io/localhost/c:latest"),
    ] {
        assert_eq!(reference(typed).to_string(), full, "{typed}");
        assert_eq!(reference(typed).familiar(), familiar, "{typed}");
        assert_eq!(reference(familiar), reference(full), "{typed}");
    }
}

#[test]
fn registries() {
    for (typed, registry, repository, tag) in [
        ("localhost/x", "localhost", "x", "latest"),
        ("localhost:5000/x:1", "localhost:5000", "x", "1"),
        ("quay.io/a/b/c:v1.2-3_4", "quay.io", "a/b/c", "v1.2-3_4"),
        ("127.0.0.1:80/x", "127.0.0.1:80", "x", "latest"),
        ("[::1]/x", "[::1]", "x", "latest"),
        ("[2001:db8::1]:5000/x:t", "[2001:db8::1]:5000", "x", "t"),
        ("xn--n3h.com/x", "xn--n3h.com", "x", "latest"),
        ("Registry.Example/x", "Registry.Example", "x", "latest"),
        ("host:1/docker.io/x", "host:1", "docker.io/x", "latest"),
        ("q.io/a.b_c__d---e/f", "q.io", "a.b_c__d---e/f", "latest"),
    ] {
        let read = reference(typed);
        assert_eq!((read.registry(), read.repository()), (registry, repository), "{typed}");
        assert_eq!(read.tag(), Some(tag), "{typed}");
        assert_eq!(read.name(), format!("{registry}/{repository}"), "{typed}");
    }
}

#[test]
fn tags_and_digests() {
    let both = reference(&format!("debian:13@{DIGEST}"));
    assert_eq!(both.tag(), Some("13"));
    assert_eq!(both.digest(), DIGEST.parse().ok());
    assert_eq!(both.selector(), DIGEST);
    assert_eq!(both.to_string(), format!("docker.io/library/debian:13@{DIGEST}"));

    let only = reference(&format!("q.io/x@{DIGEST}"));
    assert_eq!((only.tag(), only.selector().as_str()), (None, DIGEST));
    assert_eq!(reference("q.io/x:1").selector(), "1");
    assert_eq!(reference("q.io/x:1").at_digest(DIGEST.parse().expect("a digest")), only);
    assert_eq!(only.at_tag("2").map(|r| r.to_string()), Ok("q.io/x:2".into()));
    assert!(only.at_tag("-").is_err());
}

#[test]
fn short_names_stay_short() {
    for (typed, path, tag) in [
        ("debian", "debian", None),
        ("a/b:1", "a/b", Some("1")),
        ("localhost:5", "localhost", Some("5")),
    ] {
        let Ok(Name::Short(short)) = typed.parse::<Name>() else { panic!("{typed}") };
        assert_eq!((short.path(), short.tag()), (path, tag));
        assert_eq!(short.to_string(), typed);
        let at = short.at_registry("quay.io").expect("a registry");
        assert_eq!(at.to_string(), format!("quay.io/{path}:{}", tag.unwrap_or("latest")));
        let at = short.at_name("q.io/x/y").expect("a name");
        assert_eq!(at.to_string(), format!("q.io/x/y:{}", tag.unwrap_or("latest")));
        assert!(short.at_registry("quay").is_err());
    }
    assert!(matches!("q.io/x".parse(), Ok(Name::Full(_))));
}

#[test]
fn mirrors_replace_the_name() {
    let read = reference(&format!("debian:13@{DIGEST}"));
    let mirrored = read.with_name("mirror.example:5000/hub/debian").expect("a name");
    assert_eq!(mirrored.to_string(), format!("mirror.example:5000/hub/debian:13@{DIGEST}"));
    for name in ["", "mirror", "mirror/x", "m.io/", "m.io/../x", "m.io/x:1"] {
        assert!(read.with_name(name).is_err(), "{name}");
    }
}

#[test]
fn what_to_write_instead_of_upper_case_is_the_same_image() {
    for (text, instead) in [
        ("Debian", "debian"),
        ("Foo/bar:Tag", "foo/bar:Tag"),
        ("q.io/Debian", "q.io/debian"),
        ("A.io:5000/A/b:A", "A.io:5000/a/b:A"),
        ("docker.io/Debian", "docker.io/debian"),
    ] {
        let hint = text.parse::<Reference>().unwrap_err().hint();
        assert_eq!(hint, Some(format!("write `{instead}`")), "{text}");
        assert!(instead.parse::<Reference>().is_ok());
    }
}

#[test]
fn refuses_what_the_grammar_does_not_have() {
    use ParseReferenceError as E;
    type Is = fn(&E) -> bool;
    let part: Is = |e| matches!(e, E::Part { .. });
    let empty: Is = |e| matches!(e, E::Empty);
    let registry: Is = |e| matches!(e, E::Registry { .. });
    let tag: Is = |e| matches!(e, E::Tag { .. });
    let digest: Is = |e| matches!(e, E::Digest(_));
    let upper: Is = |e| matches!(e, E::UpperCase { .. });
    let long: Is = |e| matches!(e, E::NameTooLong { .. });
    let id: Is = |e| matches!(e, E::LooksLikeId);
    let cases: &[(&str, Is)] = &[
        ("", empty),
        (":tag", empty),
        ("q.io/", empty),
        ("/x", part),
        ("x/", part),
        ("a//b", part),
        ("..", part),
        ("../etc/passwd", registry),
        ("q.io/../x", part),
        ("q.io/./x", part),
        ("a..b", part),
        ("a___b", part),
        ("a_-b", part),
        ("-a", part),
        ("a-", part),
        ("a b", part),
        ("a\0b", part),
        ("a\nb", part),
        ("ä", part),
        ("Debian", upper),
        ("q.io/Debian", upper),
        ("Foo/bar", upper),
        ("https://q.io/x", registry),
        ("q.io:/x", registry),
        ("q.io:http/x", registry),
        ("q.io:+80/x", registry),
        ("q.io:65536/x", registry),
        ("-q.io/x", registry),
        ("q-.io/x", registry),
        ("q..io/x", registry),
        (".io/x", registry),
        ("[::1/x", registry),
        ("[::1]x/x", registry),
        ("[::g]:80/x", registry),
        ("[]:80/x", registry),
        ("[fe80::1%eth0]:80/x", registry),
        ("::1/x", registry),
        ("user:pass@q.io/x", digest),
        ("x:", tag),
        ("x:.a", tag),
        ("x:-a", tag),
        ("x:a b", tag),
        ("x:a:b", part),
        ("x@", digest),
        ("x@sha256:abc", digest),
        ("x@md5:d41d8cd98f00b204e9800998ecf8427e", digest),
        (
            "x@sha256:../../../../../../../../../../../../../../../../../../../../../etc/passwd",
            digest,
        ),
        ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", id),
    ];
    for (text, is) in cases {
        let error = text.parse::<Reference>().expect_err(text);
        assert!(is(&error), "{text:?}: {error:?}");
    }
    let error = "a".repeat(256).parse::<Reference>().expect_err("256");
    assert!(long(&error));
}

#[test]
fn limits_are_inclusive() {
    let hub = DOCKER_HUB.len() + 1 + OFFICIAL.len();
    assert!("a".repeat(MAX_NAME - hub).parse::<Reference>().is_ok());
    assert!("a".repeat(MAX_NAME - hub + 1).parse::<Reference>().is_err());
    assert!(format!("x:{}", "t".repeat(MAX_TAG)).parse::<Reference>().is_ok());
    assert!(format!("x:{}", "t".repeat(MAX_TAG + 1)).parse::<Reference>().is_err());
}

#[test]
fn fuzz_seeds_replay() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/reference");
    let mut count = 0;
    for entry in std::fs::read_dir(seeds).expect(seeds) {
        fuzz(&std::fs::read(entry.expect(seeds).path()).expect(seeds));
        count += 1;
    }
    assert!(count > 10, "the seeds are missing");
}
