//! `creel init` as its callers see it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

fn init() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creel"));
    command.arg("init");
    command
}

#[test]
fn ends_with_the_status_of_the_command() {
    for (args, expected) in [
        (&["true"][..], 0),
        (&["-s", "-g", "--", "sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["--", "sh", "-g", "-c", "x"], 2),
        (&["no-such-program-in-path"], 127),
        (&["/etc/passwd"], 126),
        (&["-x"], 125),
        (&[], 125),
    ] {
        let status = init().args(args).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(expected), "{args:?}");
    }
}

#[test]
fn forwards_signals_and_reaps_orphans() {
    // The orphan's parent is the init; a zombie of it would be listed by `ps`.
    let script = "trap 'echo got; exit 3' TERM; (sleep 0.1 &) ; echo ready; \
                  while :; do sleep 0.05; done";
    let mut child = init().args(["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let pid = child.id().to_string();
    std::thread::sleep(std::time::Duration::from_millis(400));
    let children = Command::new("ps").args(["--ppid", &pid, "-o", "stat="]).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    assert_eq!(children.lines().count(), 1, "{children}");
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "got");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}
