//! registries.conf as users write it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use creel_base::digest::Digest;
use creel_base::reference::{Name, Reference, ShortName};
use creel_registry::http::TlsPolicy;
use creel_registry::registries::{Registries, RegistriesError, ShortNameMode};

/// Writes each file below a directory; `registries.conf` is the main one, `d` holds drop-ins.
fn load(files: &[(&str, &str)]) -> Result<Registries, RegistriesError> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let at = |name: &str| directory.path().join(name);
    Registries::load(&[at("none.conf"), at("registries.conf")], &[at("none.d"), at("d")])
}

fn short(text: &str) -> ShortName {
    match text.parse().unwrap() {
        Name::Short(short) => short,
        Name::Full(full) => panic!("{full} is no short name"),
    }
}

fn places(registries: &Registries, reference: &Reference) -> Vec<String> {
    let sources = registries.sources(reference).unwrap();
    sources.iter().map(|s| format!("{}/{}", s.registry, s.repository)).collect()
}

#[test]
fn mirrors_apply_by_what_is_pulled() {
    let conf = r#"
        [[registry]]
        prefix = "r.io"
        [[registry.mirror]]
        location = "all.io/r"
        [[registry.mirror]]
        location = "digest.io"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "tag.io"
        pull-from-mirror = "tag-only"
        [[registry]]
        prefix = "r.io/strict"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "all.io/strict"
    "#;
    let conf = load(&[("registries.conf", conf)]).unwrap();
    let digest = Some(Digest::sha256(b""));
    for (repository, digest, expected) in [
        ("x", None, &["all.io/r/x", "tag.io/x", "r.io/x"][..]),
        ("x", digest, &["all.io/r/x", "digest.io/x", "r.io/x"]),
        ("strict/x", None, &["r.io/strict/x"]),
        ("strict/x", digest, &["all.io/strict/x", "r.io/strict/x"]),
    ] {
        let tag = if digest.is_some() { None } else { Some("1") };
        let reference = Reference::new("r.io", repository, tag, digest).unwrap();
        assert_eq!(places(&conf, &reference), expected, "{reference}");
    }
}

#[test]
fn drop_ins_replace_entries_in_the_order_of_their_names() {
    let conf = load(&[
        ("registries.conf", "short-name-mode = 'disabled'\n[[registry]]\nlocation = 'r.io'\nblocked = true"),
        ("d/20.conf", "[[registry]]\nlocation = 'r.io'\ninsecure = true\n[[registry]]\nlocation = 'b.io'\nblocked = true"),
        ("d/10.conf", "[[registry]]\nlocation = 'b.io'\n"),
        ("d/30.toml", "not read"),
    ])
    .unwrap();
    assert_eq!(conf.short_name_mode(), ShortNameMode::Disabled);
    let at = |registry| Reference::new(registry, "x", Some("1"), None).unwrap();
    assert_eq!(conf.sources(&at("r.io")).unwrap()[0].tls, TlsPolicy::AllowInsecure);
    assert!(matches!(conf.sources(&at("b.io")), Err(RegistriesError::Blocked { .. })));
}

#[test]
fn short_names_become_aliases_else_candidates_else_docker_hub() {
    let search = "unqualified-search-registries = ['a.io', 'b.io']\n";
    let aliases = "[aliases]\ndebian = 'docker.io/library/debian'\nbad = 'no registry'\n";
    let later = "[aliases]\ndebian = 'mine.io/debian'\n";
    for (files, name, expected) in [
        (vec![], "debian", &["docker.io/library/debian:12"][..]),
        (vec![("registries.conf", search)], "debian", &["a.io/debian:12", "b.io/debian:12"]),
        (
            vec![("registries.conf", aliases), ("d/1.conf", search)],
            "debian",
            &["docker.io/library/debian:12"],
        ),
        (vec![("registries.conf", aliases), ("d/1.conf", later)], "debian", &["mine.io/debian:12"]),
        (
            vec![("registries.conf", "unqualified-search-registries = []")],
            "x/y",
            &["docker.io/x/y:12"],
        ),
    ] {
        let found = load(&files).unwrap().candidates(&short(&format!("{name}:12"))).unwrap();
        let found: Vec<String> =
            found.iter().map(|r| format!("{}:{}", r.name(), r.selector())).collect();
        assert_eq!(found, expected, "{files:?}");
    }
    let error = load(&[("registries.conf", aliases)]).unwrap().candidates(&short("bad"));
    assert!(matches!(error, Err(RegistriesError::ShortName { .. })));
}

#[test]
fn a_file_that_is_not_toml_is_named() {
    let error = load(&[("registries.conf", ""), ("d/1.conf", "[[registry")]).unwrap_err();
    assert!(
        matches!(&error, RegistriesError::Parse { path, .. } if path.ends_with(Path::new("d/1.conf")))
    );
}
