//! The program as its users see it.
#![allow(clippy::unwrap_used)] // in the helpers of tests

use std::process::{Command, Output};

fn creel(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_creel")).args(arguments).output().unwrap()
}

#[test]
fn a_wrong_flag_is_an_error_of_creel_and_says_so_on_standard_error() {
    let output = creel(&["doctor", "--formt", "json"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stdout.is_empty());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("'--format'"), "{words}");
}

#[test]
fn help_and_version_are_data() {
    for arguments in [["--help"], ["--version"]] {
        let output = creel(&arguments);
        assert!(output.status.success());
        assert!(output.stderr.is_empty());
        assert!(output.stdout.starts_with(b"creel ") || output.stdout.starts_with(b"Containers "));
    }
}

#[test]
fn the_doctor_reports_every_topic_as_json() {
    let output = creel(&["doctor", "--format", "json"]);
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let topics: Vec<_> =
        findings.as_array().unwrap().iter().map(|f| f["topic"].as_str().unwrap()).collect();
    let expected = [
        "kernel",
        "user namespaces",
        "subordinate ids",
        "cgroups",
        "overlayfs",
        "EROFS",
        "FUSE",
        "KVM",
    ];
    assert_eq!(topics, expected);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_creel"))
        .args(["completion", "zsh"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
