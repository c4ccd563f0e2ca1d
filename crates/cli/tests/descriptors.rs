//! A store of many packs and a process of few descriptors: what cannot be opened is not damaged.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod shared;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use creel_store::Store;
use creel_testkit::tar::{Entry, Tar};
use shared::Host;

/// A store with an image, and with so many packs, which no merged index covers.
fn with_packs(count: u8) -> Host {
    let host = Host::new();
    let tar = Tar::new().with(Entry::file("hello", "world")).finish();
    host.runs(&["import", &host.file("root.tar", &tar), "there"]);
    let store = Store::open(&host.store()).unwrap();
    for number in 0..count {
        let transaction = store.begin().unwrap();
        let mut pack = transaction.pack().unwrap();
        pack.add(&[number; 3000]).unwrap();
        transaction.seal(pack).unwrap();
    }
    host
}

/// Runs the program with this limit of descriptors.
fn limited(host: &Host, limit: u32, arguments: &[&str]) -> Output {
    let program = host.command(arguments);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("ulimit -n {limit} && exec \"$0\" \"$@\""));
    shell.arg(program.get_program()).args(program.get_args()).env_clear();
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.output().unwrap()
}

fn files(directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let derived = path.file_name().unwrap().to_string_lossy().starts_with("multi-");
        match path.is_dir() {
            true => files(&path, found),
            false if derived => {}
            false => drop(found.insert(path.clone(), std::fs::read(path).unwrap())),
        }
    }
}

fn snapshot(host: &Host) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(&host.store(), &mut found);
    found
}

#[test]
fn a_check_that_runs_out_of_descriptors_ends_and_drops_nothing() {
    let host = with_packs(90);
    let before = snapshot(&host);
    for arguments in [&["fsck"] as &[&str], &["fsck", "--repair"]] {
        let output = limited(&host, 30, arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{words}");
        assert!(words.contains("Too many open files"), "{words}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        assert!(snapshot(&host) == before);
    }
    assert_eq!(host.runs(&["fsck"]), "the store is whole\n");
}

#[test]
fn more_packs_than_descriptors_are_no_trouble() {
    let host = with_packs(150);
    for arguments in [&["fsck"] as &[&str], &["fsck", "--repair"], &["fsck"]] {
        let output = limited(&host, 128, arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the store is whole\n", "{words}");
    }
    let merged = std::fs::read_dir(host.store().join("objects")).unwrap();
    let merged = merged.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("multi-")
    });
    assert!(merged.count() > 0, "a repair makes a merged index again");
    let output = limited(&host, 128, &["prune"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(host.runs(&["fsck"]), "the store is whole\n");
}
