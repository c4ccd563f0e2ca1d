//! `creel oci` as a service that tells its manager when it is ready (`sd_notify(3)`); needs root and a
//! static `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oci::Bundle;
use serde_json::Value;

/// A service manager, which listens beside a bundle.
struct Manager<'a> {
    bundle: &'a Bundle,
    socket: UnixDatagram,
}

impl<'a> Manager<'a> {
    fn new(bundle: &'a Bundle) -> Self {
        let socket = UnixDatagram::bind(bundle.path("manager")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { bundle, socket }
    }

    /// A command that the manager has started.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bundle.command(words);
        command.env("NOTIFY_SOCKET", self.bundle.path("manager"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn runs(&self, words: &[&str]) {
        assert!(self.command(words).status().unwrap().success(), "{words:?}");
    }

    /// What comes next.
    fn hears(&self) -> String {
        let mut message = [0; 256];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn hears_nothing(&self) {
        self.socket.set_nonblocking(true).unwrap();
        assert!(self.socket.recv(&mut [0]).is_err());
        self.socket.set_nonblocking(false).unwrap();
    }
}

/// The first process of a container that listens to it, once it does.
fn pid(bundle: &Bundle) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let output = bundle.oci(&["state", &bundle.id()]);
        let state: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        let pid = state.and_then(|state| state["pid"].as_i64()).unwrap_or(0);
        if UnixDatagram::unbound().unwrap().connect(socket(pid)).is_ok() {
            return pid;
        }
        assert!(Instant::now() < deadline, "nobody listens");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The socket as the container's processes have it.
fn socket(pid: i64) -> String {
    format!("/proc/{pid}/root/run/notify/notify.sock")
}

/// The container says something, by a socket that its environment names.
fn says(pid: i64, text: &str) {
    let named = b"NOTIFY_SOCKET=/run/notify/notify.sock";
    let is_named = || {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        environment.split(|byte| *byte == 0).any(|variable| variable == named)
    };
    // The socket is there before the program is executed.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_named() {
        assert!(Instant::now() < deadline, "the socket is not in the environment");
        std::thread::sleep(Duration::from_millis(5));
    }
    UnixDatagram::unbound().unwrap().send_to(text.as_bytes(), socket(pid)).unwrap();
}

fn ends(mut child: Child) {
    assert!(child.wait().unwrap().success());
}

#[test]
fn privileged_a_service_is_ready_when_the_container_says_so() {
    let bundle = Bundle::new("exec sleep 60");
    let (manager, id) = (Manager::new(&bundle), &bundle.id());
    manager.runs(&["create", id]);
    for words in [&["start"][..], &["run", "-d"]] {
        let mut waiting = manager.command(words).arg(id).spawn().unwrap();
        let pid = pid(&bundle);
        says(pid, "STATUS=almost\nWATCHDOG=1");
        std::thread::sleep(Duration::from_millis(50));
        assert!(waiting.try_wait().unwrap().is_none(), "{words:?} does not wait");
        manager.hears_nothing();
        says(pid, "READY=1\nSTATUS=there");
        assert_eq!(manager.hears(), "READY=1\n");
        assert_eq!(manager.hears(), format!("MAINPID={pid}\n"));
        assert_eq!(manager.hears(), "BARRIER=1");
        ends(waiting);
        // Nobody listens any more, and others who join are not told of a manager.
        assert!(UnixDatagram::unbound().unwrap().connect(socket(pid)).is_err());
        assert!(!bundle.runs(&["exec", id, "sh", "-c", "env || export"]).contains("NOTIFY_SOCKET"));
        bundle.runs(&["delete", "--force", id]);
    }
    bundle.is_clean();
}

#[test]
fn privileged_a_service_in_the_foreground_stays_with_the_runtime() {
    let bundle = Bundle::new("sleep 60 & wait");
    let (manager, id) = (Manager::new(&bundle), &bundle.id());
    let running = manager.command(&["run", id]).spawn().unwrap();
    says(pid(&bundle), "READY=1");
    assert_eq!(manager.hears(), "READY=1\n");
    assert_eq!(manager.hears(), format!("MAINPID={}\n", running.id()));
    assert_eq!(manager.hears(), "BARRIER=1");
    bundle.runs(&["kill", id, "KILL"]);
    assert_eq!({ running }.wait().unwrap().code(), Some(137));
    bundle.is_clean();
}

#[test]
fn privileged_who_never_says_anything_is_not_waited_for_after_its_end() {
    let bundle = Bundle::new("sleep 0.2");
    let (manager, id) = (Manager::new(&bundle), &bundle.id());
    manager.runs(&["create", id]);
    manager.runs(&["start", id]);
    manager.runs(&["delete", "--force", id]);
    manager.runs(&["run", id]);
    manager.hears_nothing();
    // A start that no manager waits for does not wait either.
    manager.runs(&["create", id]);
    bundle.script("exec sleep 60");
    bundle.runs(&["start", id]);
    bundle.runs(&["delete", "--force", id]);
    // A program that is not there fails as always.
    bundle.script("");
    bundle.change(|spec| spec["process"]["args"] = serde_json::json!(["none"]));
    assert_eq!(manager.command(&["run", "-d", id]).status().unwrap().code(), Some(1));
    bundle.is_clean();
}
