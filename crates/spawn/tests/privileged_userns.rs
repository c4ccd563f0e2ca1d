//! An ordinary user's user namespaces; needs root to make that user, a static `/bin/busybox`, and
//! `newuidmap`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::process::{Command, Output};

const USER: &str = "creel-userns-test";

/// A user, gone with the value.
struct User;

impl User {
    fn new() -> Self {
        let _ = Command::new("userdel").args(["-r", USER]).output();
        let made = Command::new("useradd").args(["-m", USER]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let script = "mkdir -p root/bin root/proc root/dev && cp /bin/busybox root/bin/busybox && \
                      ln -s busybox root/bin/sh && chmod a+rx .";
        let done = Self::shell(script);
        assert!(done.status.success(), "{done:?}");
        std::fs::copy(example(), format!("/home/{USER}/enter")).unwrap();
        Self
    }

    fn shell(script: &str) -> Output {
        let command = format!("cd; {script}");
        Command::new("su").args([USER, "-s", "/bin/sh", "-c", &command]).output().unwrap()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("userdel").args(["-r", USER]).output();
    }
}

/// Entering needs a process with one thread, which a test is not.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/enter")
}

#[test]
fn privileged_a_user_enters_and_is_root() {
    let _user = User::new();
    let script = "[ $(busybox id -u) = 0 ] && echo > /dev/null && busybox touch /made && \
                  busybox chown 1000:1000 /made";
    for (mode, expected) in [("", "exit code 0"), ("single", "exit code 1")] {
        let run = format!("./enter root {mode} /bin/sh -c '{script}'");
        let output = User::shell(&run);
        let said = String::from_utf8_lossy(&output.stdout);
        // With one id nobody else can own a file.
        assert!(said.contains(expected), "{mode}: {output:?}");
        assert!(said.contains("initial: false"), "{said}");
        println!("{mode} {said}");
    }
    let output = User::shell("./enter root foreign /bin/sh -c true");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("Refused"), "{said}");
    assert!(said.contains("newuidmap"), "{said}");
}
