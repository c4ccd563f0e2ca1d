//! The program as its callers see it: signals, exit codes, orphans, descriptors.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Started, counters, send, wait_for};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

fn code(args: &[&str]) -> Option<i32> {
    Command::new(common::init()).args(args).stderr(Stdio::null()).status().unwrap().code()
}

#[test]
fn ends_with_the_status_of_the_command() {
    for (args, expected) in [
        (&["true"][..], 0),
        (&["-s", "-g", "--", "sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "exit 255"], 255),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["/does/not/exist"], 127),
        (&["no-such-program-in-path"], 127),
        (&["/etc/passwd"], 126),
        (&["/"], 126),
        (&["-x"], 125),
        (&["-s"], 125),
        (&["--"], 125),
        (&[], 125),
    ] {
        assert_eq!(code(args), Some(expected), "{args:?}");
    }
}

/// The C library keeps the signals 32 and 33 from programs. Needs `python3`.
#[test]
fn privileged_forwards_every_signal_that_can_be_caught() {
    let signals: Vec<i32> = (1..=64).filter(|s| ![9, 17, 19, 32, 33].contains(s)).collect();
    let script = "import os, signal, sys
for number in map(int, sys.argv[1:]):
    signal.signal(number, lambda n, _: os.write(1, b'%d\\n' % n))
print('ready', flush=True)
while True:
    signal.pause()
";
    let mut args = vec!["python3".to_owned(), "-c".to_owned(), script.to_owned()];
    args.extend(signals.iter().map(ToString::to_string));
    let mut init =
        Started(Command::new(common::init()).args(args).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(init.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    for signal in signals {
        send(init.pid(), signal);
        assert_eq!(lines.next().unwrap().unwrap(), signal.to_string());
    }
}

#[test]
fn stops_and_continues_the_command_and_stays_awake_itself() {
    let mut init = Started(Command::new(common::init()).args(["sleep", "60"]).spawn().unwrap());
    let child = wait_for(|| common::children(init.pid()).first().copied());
    wait_for(|| (common::name(child)? == "sleep").then_some(()));
    send(init.pid(), 20);
    wait_for(|| (common::state(child)? == 'T').then_some(()));
    // It may still be running right after it has passed the signal on; stopped, it would stay so.
    wait_for(|| (common::state(init.pid())? == 'S').then_some(()));
    send(init.pid(), 18);
    wait_for(|| (common::state(child)? == 'S').then_some(()));
    send(init.pid(), 15);
    assert_eq!(init.0.wait().unwrap().code(), Some(143));
}

#[test]
fn group_target_reaches_the_children_of_the_command() {
    let script = "sleep 60 & echo $!; wait; wait; sleep 60";
    let mut init = Command::new(common::init());
    init.args(["-g", "sh", "-c", script]).stdout(Stdio::piped());
    let mut init = Started(init.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(init.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let grandchild: u32 = line.trim().parse().unwrap();
    send(init.pid(), 15);
    assert_eq!(init.0.wait().unwrap().code(), Some(143));
    wait_for(|| common::state(grandchild).is_none_or(|state| state == 'Z').then_some(()));
}

#[test]
fn reaps_a_thousand_orphans() {
    let script = "i=0; while [ $i -lt 1000 ]; do (true &) ; i=$((i+1)); done; echo done; read x";
    let mut init = Command::new(common::init());
    init.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut init = Started(init.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(init.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    wait_for(|| (common::children(init.pid()).len() == 1).then_some(()));
    drop(init.0.stdin.take());
    assert_eq!(init.0.wait().unwrap().code(), Some(1));
}

#[test]
fn sleeps_without_waking_and_holds_no_descriptor() {
    let init = Started(Command::new(common::init()).args(["sleep", "60"]).spawn().unwrap());
    let child = wait_for(|| common::children(init.pid()).first().copied());
    wait_for(|| (common::name(child)? == "sleep").then_some(()));
    wait_for(|| (common::descriptors(init.pid()) == [0, 1, 2]).then_some(()));
    std::thread::sleep(Duration::from_millis(100));
    let before = counters(init.pid());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(counters(init.pid()), before);
}

#[test]
fn the_command_gets_the_mask_and_dispositions_of_the_caller() {
    let show = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status";
    let plain = Command::new("sh").args(["-c", show]).output().unwrap();
    let under = Command::new(common::init()).args(["sh", "-c", show]).output().unwrap();
    let text = |output: std::process::Output| String::from_utf8(output.stdout).unwrap();
    assert_eq!(text(under), text(plain));
}

#[test]
fn listening_sockets_are_readdressed_to_the_command_alone() {
    let show = "[ \"$LISTEN_PID\" = $$ ] && echo own || echo \"$LISTEN_PID\"";
    let run = |pid: &str| {
        // `exec` keeps the process id, which the shell puts into LISTEN_PID for the init.
        let script = format!("LISTEN_PID={pid} exec \"$0\" sh -c '{show}'");
        let output = Command::new("sh").args(["-c", &script, &common::init()]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("$$"), "own\n");
    assert_eq!(run("1"), "1\n");
}

/// Needs `script` of util-linux.
#[test]
fn privileged_the_command_is_in_the_foreground_of_the_terminal() {
    // Fields 5 and 8: the process group, and the foreground group of the terminal.
    let show = "set -- $(cat /proc/$$/stat); [ $5 = $8 ] && echo 1";
    let command = format!("{} sh -c '{show}'", common::init());
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "1");
}
