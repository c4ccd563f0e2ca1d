//! As PID 1 of a PID namespace. Needs root and `unshare` of util-linux.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Started, children, name, send, wait_for};
use std::process::{Command, Stdio};

fn in_namespace(args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-p", "-f", "--mount-proc", &common::init()]).args(args);
    command
}

#[test]
fn privileged_is_pid_1_and_reaps_orphans_of_the_namespace() {
    let script = "i=0; while [ $i -lt 100 ]; do (true &); i=$((i+1)); done; sleep 0.2; \
                  echo $PPID $(cat /proc/1/comm) $(grep -l '^State:.Z' /proc/[0-9]*/status | wc -l)";
    let output = in_namespace(&["sh", "-c", script]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1 creel-init 0\n", "{error}");
}

/// The kernel drops signals to PID 1 for which it has no handler: blocked ones it must queue.
#[test]
fn privileged_forwards_signals_to_pid_1_and_ends_with_the_code() {
    for (signal, code) in [(15, 143), (2, 130), (1, 129), (37, 165)] {
        let mut unshare = Started(in_namespace(&["sleep", "60"]).spawn().unwrap());
        let init = wait_for(|| children(unshare.pid()).first().copied());
        let sleep = wait_for(|| children(init).first().copied());
        wait_for(|| (name(sleep)? == "sleep").then_some(()));
        send(init, signal);
        assert_eq!(unshare.0.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn privileged_the_end_of_the_command_ends_the_namespace() {
    let script = "sleep 60 & echo $(readlink /proc/self/ns/pid)";
    let output = in_namespace(&["sh", "-c", script]).stderr(Stdio::inherit()).output().unwrap();
    let namespace = String::from_utf8(output.stdout).unwrap();
    let left = std::fs::read_dir("/proc").unwrap().filter(|entry| {
        let link = entry.as_ref().unwrap().path().join("ns/pid");
        std::fs::read_link(link).is_ok_and(|link| link.as_os_str() == namespace.trim())
    });
    assert!(namespace.starts_with("pid:["));
    assert_eq!(left.count(), 0);
}
