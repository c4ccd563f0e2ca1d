//! Stores that this program may not write, or may not even read.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod shared;

use creel_testkit::tar::{Entry, Tar};
use shared::Host;

/// Changes a field of `store.json`.
fn describe(host: &Host, field: &str, value: serde_json::Value) -> Vec<u8> {
    let path = host.store().join("store.json");
    let bytes = std::fs::read(&path).unwrap();
    let mut description: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    description[field] = value;
    let bytes = serde_json::to_vec(&description).unwrap();
    std::fs::write(path, &bytes).unwrap();
    bytes
}

fn with_image() -> (Host, String) {
    let host = Host::new();
    let tar = Tar::new().with(Entry::file("hello", "world")).finish();
    let file = host.file("root.tar", &tar);
    host.runs(&["import", &file, "there"]);
    (host, file)
}

const WRITING: [&[&str]; 4] =
    [&["rmi", "there"], &["prune"], &["fsck", "--repair"], &["tag", "there", "x"]];
const READING: [&[&str]; 5] =
    [&["images"], &["tree", "cat", "there", "hello"], &["fsck"], &["df"], &["prune", "--dry-run"]];

#[test]
fn a_newer_format_is_left_alone() {
    for (field, value) in
        [("format", serde_json::json!(2)), ("incompatible", serde_json::json!(["strange"]))]
    {
        let (host, file) = with_image();
        let bytes = describe(&host, field, value);
        let words: &[&str] =
            if field == "format" { &["format 2", "newer"] } else { &["`strange`"] };
        for command in WRITING.iter().chain(&READING).chain(&[&["import", &*file, "x"] as &[&str]])
        {
            host.refuses(command, words);
        }
        assert_eq!(std::fs::read(host.store().join("store.json")).unwrap(), bytes);
    }
}

#[test]
fn a_store_with_an_unknown_feature_for_writers_is_read_and_not_written() {
    let (host, file) = with_image();
    describe(&host, "ro_compatible", serde_json::json!(["strange"]));
    for command in WRITING.iter().chain(&[&["import", &*file, "x"] as &[&str]]) {
        host.refuses(command, &["is read-only"]);
    }
    for command in READING {
        host.runs(command);
    }
}

#[test]
fn a_damaged_description_is_told() {
    let (host, _) = with_image();
    for bytes in [&b"{"[..], b"", b"[]", b"{\"format\":1}", &[0xff; 100]] {
        std::fs::write(host.store().join("store.json"), bytes).unwrap();
        host.refuses(&["images"], &["store.json", "not valid"]);
    }
}
