//! `creel jail policy`: what is printed, written and returned.
#![allow(clippy::unwrap_used)] // in the helpers of tests

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory with files, and a command that runs there.
fn creel(files: &[(&str, &str)], args: &[&str]) -> (TempDir, Output) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_creel"));
    command.args(["jail", "policy"]).args(args).current_dir(directory.path());
    let output = command.output().unwrap();
    (directory, output)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_policy_is_compiled_to_a_file_or_to_standard_output() {
    let files = [("p", "@include ./other\nread: 1\n"), ("other", "write: 1\n")];
    let (directory, output) = creel(&files, &["compile", "p", "-o", "p.bpf"]);
    assert!(output.status.success(), "{output:?}");
    let program = fs::read(directory.path().join("p.bpf")).unwrap();
    // It begins with the load of the interface.
    assert_eq!(program[..8], [0x20, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(creel(&files, &["compile", "p"]).1.stdout, program);
}

#[test]
fn a_bad_policy_is_told_by_file_line_and_column() {
    let files = [("good", "read: arg0 == 1; return EPERM\n"), ("bad", "read: 1\n raed: 1\n")];
    let (_directory, output) = creel(&files, &["check", "good", "bad"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("good:1:1: minijail0 and its compiler"), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains("bad:2:2: `raed` is no system call") && said.contains("`read`"),
        "{said}"
    );
    assert_eq!(creel(&files, &["check", "good"]).1.status.code(), Some(0));
    assert_eq!(creel(&files, &["check", "good", "--reader", "compiler"]).1.status.code(), Some(0));
    assert_eq!(creel(&files, &["check", "--strict", "good"]).1.status.code(), Some(1));
    assert_eq!(creel(&files, &["compile", "bad"]).1.status.code(), Some(125));
}

#[test]
fn a_call_is_explained_by_its_line() {
    let files = [("p", "read: 1\nopenat: arg2 == O_RDONLY; return EACCES\n")];
    let explain = |args: &[&str]| {
        let output = creel(&files, &[&["explain", "p"], args].concat()).1;
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout).to_owned()
    };
    assert_eq!(explain(&["openat"]), "allow  (p:2)\n");
    assert_eq!(explain(&["openat", "0", "0", "0x1"]), "return EACCES  (p:2)\n");
    assert_eq!(explain(&["write"]), "kill-process  (the policy does not name it)\n");
    assert!(explain(&[]).contains("openat    allow if arg2 == O_RDONLY, else return EACCES\n"));
    let json: serde_json::Value = serde_json::from_str(&explain(&["--format", "json"])).unwrap();
    assert_eq!(json["calls"][1]["branches"][0]["condition"], "arg2 == O_RDONLY");
}

#[test]
fn a_trace_becomes_a_policy() {
    let files =
        [("trace", "12 read(0x0, 0x1, 0x2) = 0\n12 ioctl(0x1, 0x5401, 0) = 0\n"), ("none", "x\n")];
    let (directory, output) = creel(&files, &["from-strace", "trace", "--frequency", "counts"]);
    assert!(text(&output.stdout).contains("ioctl: arg1 == 0x5401\n"), "{output:?}");
    assert_eq!(fs::read_to_string(directory.path().join("counts")).unwrap(), "ioctl: 1\nread: 1\n");
    assert_eq!(creel(&files, &["from-strace", "none"]).1.status.code(), Some(125));
}
