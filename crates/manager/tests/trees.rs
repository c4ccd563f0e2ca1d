//! Trees of images, looked into and checked out.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod sample;

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use creel_base::hint::Hint as _;
use creel_manager::Owners;
use creel_manager::trees::{CheckedOut, IfExists, TreesError, View, compare, rows};
use sample::Sample;

const LOWER: &[(&str, &[u8])] = &[
    ("bin", b"-> usr/bin"),
    ("etc/motd", b"old"),
    ("etc/gone", b"x"),
    ("usr/bin/sh", b"#!"),
    ("usr/share/big", &[7; 300_000]),
];
const UPPER: &[(&str, &[u8])] = &[("etc/motd", b"new"), ("etc/.wh.gone", b""), ("up\x1bhill", b"")];

fn two_layers() -> Sample {
    let sample = Sample::new();
    sample.image("localhost/two:latest", &[LOWER, UPPER]);
    sample
}

fn content(sample: &Sample, view: &View, path: &str) -> Result<Vec<u8>, TreesError> {
    let mut content = Vec::new();
    view.open(sample.engine.store(), path.as_bytes())?.read_to_end(&mut content).unwrap();
    Ok(content)
}

fn listed(view: &View, path: &str, deep: bool) -> Vec<String> {
    let rows = rows(&view.tree, path.as_bytes(), deep).unwrap();
    rows.into_iter().map(|row| row.path.path).collect()
}

#[test]
fn an_image_is_seen_merged_and_layer_by_layer() {
    let sample = two_layers();
    let merged = sample.engine.view("two").unwrap();
    assert_eq!(listed(&merged, "/", false), ["bin", "etc", "up\x1bhill", "usr"]);
    assert_eq!(listed(&merged, "etc", true), ["etc/motd"]);
    assert_eq!(listed(&merged, "bin", false), ["usr/bin/sh"]);
    assert_eq!(content(&sample, &merged, "/etc/../etc/motd").unwrap(), b"new");
    assert_eq!(content(&sample, &merged, "bin/sh").unwrap(), b"#!");
    assert_eq!(content(&sample, &merged, "usr/share/big").unwrap(), vec![7; 300_000]);
    let lower = sample.engine.view("two#1").unwrap();
    assert_eq!(content(&sample, &lower, "etc/motd").unwrap(), b"old");
    let upper = sample.engine.view("localhost/two#2").unwrap();
    assert_eq!(rows(&upper.tree, b"etc", false).unwrap()[0].kind, "whiteout");
    let id = upper.layers()[0].hex();
    assert_eq!(sample.engine.view(&id).unwrap().tree, upper.tree);
    assert_eq!(sample.engine.view(&id[..12]).unwrap().tree, upper.tree);
}

#[test]
fn differences_between_image_and_layer_are_named() {
    let sample = two_layers();
    let (one, two) = (sample.engine.view("two#1").unwrap(), sample.engine.view("two").unwrap());
    let found = compare(&one.tree, &two.tree);
    let found: Vec<_> = found.iter().map(|difference| &*difference.path.path).collect();
    assert_eq!(found, ["/etc/gone", "/etc/motd", "/up\x1bhill"]);
}

#[test]
fn says_what_is_not_there_and_what_to_do() {
    let sample = two_layers();
    let error = |name: &str| sample.engine.view(name).unwrap_err();
    for name in ["absent", "absent#1", "two#0", "two#3", "two#x", "deadbeef", "Bad Name", "#", ""] {
        let error = error(name);
        assert!(error.hint().is_some() || !error.to_string().is_empty(), "{name}");
    }
    assert_eq!(
        error("two#3").to_string(),
        "`two` has no layer 3: they are numbered 1 to 2, the lowest first"
    );
    let view = sample.engine.view("two").unwrap();
    let error = content(&sample, &view, "etc").unwrap_err();
    assert_eq!(error.to_string(), "`etc` is a directory, not a file");
}

#[test]
fn a_checkout_is_the_callers_and_replaces_only_what_it_may() {
    let sample = two_layers();
    let view = sample.engine.view("two").unwrap();
    let target = sample.directory.path().join("out");
    let out = |if_exists, keep: &[(&'static str, PathBuf)]| {
        view.checkout(sample.engine.store(), &target, Owners::Caller, if_exists, keep)
    };
    assert_eq!(out(IfExists::Fail, &[]).unwrap(), CheckedOut::default());
    assert_eq!(std::fs::read(target.join("etc/motd")).unwrap(), b"new");
    assert!(!target.join("etc/gone").exists());
    let stat = std::fs::metadata(target.join("etc/motd")).unwrap();
    assert_eq!((stat.uid(), stat.mtime()), (rustix::process::getuid().as_raw(), 1_700_000_000));
    assert!(matches!(out(IfExists::Fail, &[]), Err(TreesError::Exists { .. })));
    std::fs::write(target.join("mine"), "x").unwrap();
    let below = [("the home directory", target.join("etc"))];
    assert!(matches!(out(IfExists::Replace, &below), Err(TreesError::Precious { .. })));
    assert!(target.join("mine").exists());
    out(IfExists::Replace, &[]).unwrap();
    assert!(!target.join("mine").exists());
    let names = std::fs::read_dir(sample.directory.path()).unwrap().count();
    assert_eq!(names, 2, "store and checkout, nothing half-made");
    for precious in [sample.directory.path().join("store"), "/".into(), "..".into()] {
        let store = sample.engine.store();
        let error = view.checkout(store, &precious, Owners::Caller, IfExists::Replace, &[]);
        assert!(matches!(error, Err(TreesError::Precious { .. })), "{}", precious.display());
    }
}
