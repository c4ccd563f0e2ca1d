//! Lays policies of Landlock on real processes; needs root, a static `/bin/busybox` and Linux 6.7.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use creel_spawn::landlock::{
    Abi, Files, LandlockError, Object, Policy, PortRule, Ports, Rule, Scopes, Strictness,
};
use creel_spawn::{Capabilities, Namespace, Plan, Process, Root, SpawnError, Stdio};

fn rule(path: &str, access: Files) -> Rule {
    Rule { object: Object::Path(path.into()), access, optional: false }
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy { files: Files::known(Abi::of_kernel().unwrap()), rules, ..Policy::default() }
}

fn everything() -> Files {
    Files::known(Abi::of_kernel().unwrap())
}

/// Runs a script in a root with `/bin`, `/open/file` and `/shut/file`; returns what it prints.
fn run(
    script: &str,
    landlock: Option<Policy>,
    no_new_privileges: bool,
) -> Result<String, SpawnError> {
    let dir = tempfile::tempdir().unwrap();
    for name in ["bin", "open", "shut"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::copy("/bin/busybox", dir.path().join("bin/busybox")).unwrap();
    for name in ["sh", "cat", "echo", "nc", "kill"] {
        symlink("busybox", dir.path().join("bin").join(name)).unwrap();
    }
    fs::write(dir.path().join("open/file"), "seen\n").unwrap();
    fs::write(dir.path().join("shut/file"), "secret\n").unwrap();
    let (mut read, write) = std::io::pipe().unwrap();
    let write = Arc::new(OwnedFd::from(write));
    let null = Arc::new(OwnedFd::from(File::open("/dev/null").unwrap()));
    let plan = Plan {
        root: Root::directory(dir.path()),
        namespaces: vec![Namespace::Mount],
        process: Process {
            cwd: "/".into(),
            candidates: vec!["/bin/sh".into()],
            argv: ["sh", "-c", script].map(String::from).to_vec(),
            env: vec!["PATH=/bin".into()],
            stdio: Stdio::Descriptors(vec![null, Arc::clone(&write), Arc::clone(&write)]),
            capabilities: Capabilities::default(),
            no_new_privileges,
            landlock,
            ..Process::default()
        },
        ..Plan::default()
    };
    let child = plan.spawn()?;
    drop((plan, write));
    let mut printed = String::new();
    read.read_to_string(&mut printed).unwrap();
    child.wait().unwrap();
    Ok(printed)
}

const READS: &str = "cat /open/file /shut/file; echo x > /open/file && echo wrote";

#[test]
fn only_what_a_rule_allows_is_reached() {
    let control = run(READS, None, true).unwrap();
    assert_eq!(control, "seen\nsecret\nwrote\n");
    // With and without the promise the policy comes at different times.
    for no_new_privileges in [true, false] {
        let rules = vec![rule("/bin", Files::READ), rule("/open", Files::READ_FILE)];
        let printed = run(READS, Some(policy(rules)), no_new_privileges).unwrap();
        assert!(printed.starts_with("seen\n"), "{printed}");
        assert!(!printed.contains("secret") && !printed.contains("wrote"), "{printed}");
        assert_eq!(printed.matches("Permission denied").count(), 2, "{printed}");
    }
}

#[test]
fn a_rule_may_be_about_an_open_directory_or_one_file() {
    let dir = File::open("/bin").unwrap();
    let host = Rule {
        object: Object::Descriptor(Arc::new(dir.into())),
        access: Files::READ,
        optional: false,
    };
    // That of the host is not where the shell is.
    let error = run("true", Some(policy(vec![host.clone()])), true).unwrap_err();
    assert!(matches!(error, SpawnError::Execute { .. }), "{error:?}");
    let rules = vec![host, rule("/bin/busybox", everything()), rule("/bin", Files::EXECUTE)];
    assert!(run("echo fine", Some(policy(rules)), true).unwrap().contains("fine"));
}

#[test]
fn a_missing_path_is_an_error_unless_it_may_be_missing() {
    let rules = vec![rule("/bin", Files::READ), rule("/none", Files::READ)];
    let mut policy = policy(rules);
    let error = run("echo ran", Some(policy.clone()), true).unwrap_err();
    assert_eq!(error.to_string(), "could not allow access to `/none`");
    policy.rules[1].optional = true;
    assert_eq!(run("echo ran", Some(policy), true).unwrap(), "ran\n");
}

#[test]
fn ports_are_allowed_one_by_one() {
    let listeners = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [open, shut] = listeners.each_ref().map(|one| one.local_addr().unwrap().port());
    let script =
        format!("nc -w 1 127.0.0.1 {open} && echo one; nc -w 1 127.0.0.1 {shut} && echo other");
    for listener in listeners {
        std::thread::spawn(move || listener.incoming().take(2).for_each(drop));
    }
    assert_eq!(run(&script, None, true).unwrap(), "one\nother\n");
    let policy = Policy {
        ports: Ports::ALL,
        port_rules: vec![PortRule { port: open, access: Ports::CONNECT_TCP }],
        ..Policy::default()
    };
    let printed = run(&script, Some(policy), true).unwrap();
    assert!(printed.starts_with("one\n") && !printed.contains("other\n"), "{printed}");
}

#[test]
fn signals_stay_inside() {
    let script = format!("kill -0 {} && echo reached", std::process::id());
    assert_eq!(run(&script, None, true).unwrap(), "reached\n");
    let policy = Policy { scopes: Scopes::SIGNAL, ..Policy::default() };
    match run(&script, Some(policy), true) {
        Ok(printed) => assert!(printed.contains("not permitted"), "{printed}"),
        // Before Linux 6.12.
        Err(SpawnError::Landlock(LandlockError::Unknown { right: "signal", .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_policy_that_forbids_nothing_the_kernel_knows_is_left_out() {
    let policy = Policy { strictness: Strictness::BestEffort, ..Policy::default() };
    assert_eq!(run("cat /shut/file", Some(policy), true).unwrap(), "secret\n");
}
