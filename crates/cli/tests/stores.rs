//! Stores that are not there, or do not open.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod shared;

use std::path::Path;
use std::process::Command;

use shared::source::Source;
use shared::{Host, creel};

/// What a command says: its exit code, standard output and standard error.
fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let [out, err] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), out, err)
}

#[test]
fn a_mistyped_store_is_not_made_by_who_wants_to_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let (store, run) = (directory.path().join("typo"), directory.path().join("run"));
    let nowhere = Path::new("/nonexistent");
    for command in [
        &["images"][..],
        &["ps"],
        &["inspect", "app"],
        &["history", "app"],
        &["df"],
        &["fsck"],
        &["fsck", "--repair"],
        &["prune"],
        &["tag", "app", "b"],
        &["push", "app", "oci:out"],
        &["tree", "ls", "app"],
        &["run", "--pull", "never", "app"],
    ] {
        let option = [&["--store", store.to_str().unwrap()][..], command].concat();
        for mut program in [creel(&store, &run, command), creel(nowhere, &run, &option)] {
            let (code, _, error) = said(&mut program);
            assert_eq!(code, Some(125), "{command:?}: {error}");
            assert!(error.contains(&format!("no store at `{}`", store.display())), "{error}");
            let hint = format!("hint: `creel --store {} pull IMAGE` makes one", store.display());
            assert!(error.contains(&hint), "{error}");
        }
    }
    assert!(!store.exists());
}

#[test]
fn what_fills_a_store_makes_it_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (store, run) = (directory.path().join("new"), directory.path().join("run"));
    let host = Host::new();
    let source = Source::new(&host);
    let pull = ["pull", "-q", &source.layout];
    let (code, _, error) = said(&mut creel(&store, &run, &pull));
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains(&format!("note: made a store at `{}`", store.display())), "{error}");
    assert_eq!(said(&mut creel(&store, &run, &pull)).2, "");
}

#[test]
fn a_store_with_a_damaged_description_is_repaired_as_the_hint_says() {
    let host = Host::new();
    let source = Source::new(&host);
    host.runs(&["pull", "-q", &source.layout]);
    let path = host.store().join("store.json");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[1..]).unwrap();
    host.refuses(&["images"], &["store.json", "fsck --repair"]);
    let (code, words, _) = said(&mut host.command(&["fsck", "--repair"]));
    let expected = "description store.json was damaged or missing: all images need it\n\n\
                    what was damaged has been dropped, or made again\n";
    assert_eq!((code, &*words), (Some(1), expected));
    assert_eq!(std::fs::read(&path).unwrap(), good);
    assert_eq!(host.runs(&["fsck"]), "the store is whole\n");
}
