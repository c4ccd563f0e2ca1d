//! Further processes in a running container; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use common::{options, process, root, spec, start};
use creel_runtime::container::{Container, ContainerError, Exec, Identity, Running};
use creel_runtime::seccomp::Filter;
use creel_runtime::spec::{ConsoleSize, User};
use creel_spawn::{Namespace, Stdio};

fn sleeping() -> (tempfile::TempDir, Running, Container) {
    let root = root();
    let mut spec = spec("sleep 60");
    spec.hostname = Some("box".into());
    let running = start(&spec, &options(&root));
    let identity = Identity::of(running.pid()).unwrap();
    let container = Container::open(identity, Namespace::ROOT.to_vec(), false, None).unwrap();
    (root, running, container)
}

fn exec() -> Exec {
    Exec { seccomp: Filter::Default, ..Exec::default() }
}

#[test]
fn privileged_exec_is_confined_like_the_container() {
    let (_root, running, container) = sleeping();
    for (script, code) in [
        ("[ $(hostname) = box ] && [ -d /proc/1 ] && ! [ -e /etc/passwd ]", 0),
        ("grep -q 'CapEff:.00000000800405fb' /proc/self/status", 0),
        ("grep -q 'CapInh:.0000000000000000' /proc/self/status", 0),
        ("grep -q 'Seccomp:.2' /proc/self/status && ! unshare -m true 2>/dev/null", 0),
        ("[ $(ls /proc/self/fd | wc -l) = 4 ]", 0),
        ("exit 42", 42),
        ("kill -9 $$", 137),
    ] {
        let joined = container.exec(&process(script), &exec()).unwrap();
        assert_eq!(joined.wait().unwrap(), code, "{script}");
    }
    let mut user = process("[ \"$(id -u):$(id -g):$(id -G)\" = '7:8:8 9' ]");
    user.user = User { uid: 7, gid: 8, additional_gids: vec![9], ..User::default() };
    assert_eq!(container.exec(&user, &exec()).unwrap().wait().unwrap(), 0);
    container.kill().unwrap();
    assert_eq!(running.wait().unwrap(), 137);
    assert!(matches!(container.signal(15), Err(ContainerError::NotRunning)));
}

#[test]
fn privileged_exec_gets_a_terminal_of_the_containers() {
    let (_root, running, container) = sleeping();
    let mut process =
        process("tty; [ -c /dev/tty ] && echo x > /dev/tty; stty size 2>/dev/null; true");
    process.terminal = true;
    process.console_size = Some(ConsoleSize { height: 24, width: 80 });
    let mut joined = container.exec(&process, &exec()).unwrap();
    let mut master = File::from(joined.take_terminal().unwrap());
    let mut text = Vec::new();
    // Reading the master ends with EIO once the slave is closed.
    let _ = master.read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text), "/dev/pts/0\r\nx\r\n24 80\r\n");
    assert_eq!(joined.wait().unwrap(), 0);
    container.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn privileged_exec_writes_to_what_it_is_given_and_says_what_is_missing() {
    let (_root, running, container) = sleeping();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let null: Arc<OwnedFd> = Arc::new(File::open("/dev/null").unwrap().into());
    let writer = Arc::new(OwnedFd::from(writer));
    let stdio = Stdio::Descriptors(vec![null, Arc::clone(&writer), writer]);
    let given = Exec { stdio, ..exec() };
    let joined = container.exec(&process("echo out; echo err >&2"), &given).unwrap();
    drop(given);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), joined.wait().unwrap()), ("out\nerr\n", 0));
    let mut missing = process("");
    missing.args = vec!["none".into()];
    assert_eq!(container.exec(&missing, &exec()).unwrap_err().exit_code(), 127);
    container.kill().unwrap();
    running.wait().unwrap();
}
