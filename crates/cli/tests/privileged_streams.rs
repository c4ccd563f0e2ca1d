//! Standard streams of containers: bytes pass, handles on files and terminals of the host do not.
#![allow(clippy::unwrap_used)]

mod containers;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use containers::{Who, World, sh};

/// Much more than a pipe holds.
const BIG: u64 = 100 << 20;

/// `run` with files as its streams.
fn with_files(world: &World, options: &[&str], script: &str) -> Command {
    let mut command =
        world.command(&[&["run", "--rm"], options, &["box", "sh", "-c", script]].concat());
    command.stdin(File::open(world.path("in")).unwrap());
    let append = |name| OpenOptions::new().append(true).create(true).open(world.path(name));
    command.stdout(append("out").unwrap()).stderr(append("err").unwrap());
    command
}

#[test]
fn privileged_files_of_the_host_are_not_handed_over() {
    let world = World::new(Who::Root);
    world.file("in", "typed\n");
    world.file("out", "kept\n");
    let state = |name: &str| {
        let meta = std::fs::metadata(world.path(name)).unwrap();
        (meta.mode(), meta.uid(), meta.mtime())
    };
    let before = state("in");
    let script = "cat; for n in 0 1 2; do chmod 777 /proc/self/fd/$n; chown 5 /proc/self/fd/$n; done; \
        (echo evil > /proc/self/fd/0) 2>/dev/null; (: > /proc/self/fd/1); echo out; echo err >&2";
    assert!(with_files(&world, &["-i"], script).status().unwrap().success());
    assert_eq!(std::fs::read_to_string(world.path("in")).unwrap(), "typed\n");
    assert_eq!(state("in"), before);
    assert_eq!(std::fs::read_to_string(world.path("out")).unwrap(), "kept\ntyped\nout\n");
    assert_eq!(std::fs::read_to_string(world.path("err")).unwrap(), "err\n");
    assert_eq!((state("out").0 & 0o777, state("out").1), (0o644, 0));
    // What is written to both stays in order.
    let both = format!(
        "{} run --rm box sh -c 'for n in 1 2 3; do echo o$n; echo e$n >&2; done' > {} 2>&1",
        world.path("creel").display(),
        world.path("both").display()
    );
    let variables = world.command(&[]);
    let variables = variables.get_envs().map(|(name, value)| (name, value.unwrap()));
    assert!(Command::new("sh").args(["-c", &both]).envs(variables).status().unwrap().success());
    let both = std::fs::read_to_string(world.path("both")).unwrap();
    assert_eq!(both, "o1\ne1\no2\ne2\no3\ne3\n");
    world.is_clean();
}

#[test]
fn privileged_the_null_device_of_the_host_cannot_be_changed() {
    for who in [Who::Root, Who::User] {
        let world = World::new(who);
        let mode = || std::fs::metadata("/dev/null").unwrap().mode();
        let before = mode();
        let script = "chmod 600 /proc/self/fd/$0 || exit 3; exit 4";
        for (number, options) in [("0", &[][..]), ("0", &["-i"]), ("1", &[]), ("2", &[])] {
            let words = ["box", "sh", "-c", script, number];
            let run = [&["run", "--rm"], options, &words].concat();
            let mut command = world.command(&run);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let code = command.status().unwrap().code();
            assert_eq!((code, mode()), (Some(3), before), "{who:?} {number}");
        }
        world.prints(&[], "cat; echo x > /dev/null && echo end", "end");
        world.is_clean();
    }
}

#[test]
fn privileged_streams_are_whole() {
    let world = World::new(Who::Root);
    let input = world.path("in");
    sh(&format!("head -c {BIG} /dev/urandom > {}", input.display()));
    assert!(with_files(&world, &["-i"], "cat; exit 0").status().unwrap().success());
    sh(&format!("cmp {} {}", input.display(), world.path("out").display()));
    // Not all of it is read.
    std::fs::remove_file(world.path("out")).unwrap();
    let code = with_files(&world, &["-i"], "head -c 5; exit 7").status().unwrap().code();
    assert_eq!(code, Some(7));
    assert_eq!(std::fs::read(world.path("out")).unwrap(), std::fs::read(&input).unwrap()[..5]);
    // Without `-i` there is none.
    assert!(with_files(&world, &[], "cat > /x; test ! -s /x").status().unwrap().success());
    world.is_clean();
}

/// A child that keeps an output open is not waited for, and what was written before is there.
#[test]
fn privileged_exec_ends_with_its_process() {
    let world = World::new(Who::Root);
    world.file("in", "some\n");
    let waits = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let running = world.background(&["run", "--rm", "--name", "one", "box", "sh", "-c", waits]);
    let script = "cat; head -c 60000 /dev/zero; sleep 1000 & exit 6";
    let started = Instant::now();
    let mut exec = world.command(&["exec", "-i", "one", "sh", "-c", script]);
    exec.stdin(File::open(world.path("in")).unwrap());
    exec.stdout(File::create(world.path("out")).unwrap());
    assert_eq!(exec.status().unwrap().code(), Some(6));
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(std::fs::metadata(world.path("out")).unwrap().len(), 60005);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
    world.is_clean();
}

/// A terminal is shown what is written, and no more can be done to it without `-t`.
#[test]
fn privileged_the_terminal_is_not_handed_over() {
    let world = World::new(Who::Root);
    let inside = "test -t 0 || test -t 1 || test -t 2 || echo none; (timeout 1 cat <&1) 2>/dev/null; \
        chmod 777 /proc/self/fd/1; exit 3";
    let script = format!(
        "mode=$(stat -c %a $(tty)); {} run --rm box sh -c '{inside}'; echo code $?; \
        test $mode = $(stat -c %a $(tty)) && echo same",
        world.path("creel").display()
    );
    let command = world.command(&[]);
    let variables: Vec<_> = command
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.unwrap().to_owned()))
        .collect();
    let mut shown = Command::new("script");
    shown.args(["-qec", &script, "/dev/null"]).env_clear().envs(variables);
    let mut child = shown.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let _input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert_eq!(shown, "none\ncode 3\nsame\n");
    world.is_clean();
}
