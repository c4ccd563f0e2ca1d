//! What a process of `creel oci` is given besides its namespaces; needs root and a static
//! `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs::{self, File};
use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;

use oci::Bundle;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

#[test]
fn privileged_the_kernel_treats_a_process_as_told() {
    let bundle = Bundle::new("cat /proc/self/stat; uname -m; cat /proc/self/numa_maps; sleep 60");
    let id = &bundle.id();
    bundle.change(|spec| {
        spec["process"]["scheduler"] =
            json!({"policy": "SCHED_BATCH", "nice": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
        spec["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 6});
        spec["linux"]["personality"] = json!({"domain": "LINUX32"});
        spec["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
        spec["process"]["args"] = json!(["sleep", "60"]);
    });
    bundle.runs(&["run", "--detach", id]);
    let state: Value = serde_json::from_str(&bundle.runs(&["state", id])).unwrap();
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", state["pid"])).unwrap();
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // Niceness and policy are fields 19 and 41, of which the third is the first here.
    assert_eq!((fields[16], fields[38]), ("7", "3"));
    assert_eq!(read("personality").trim(), "00000008");
    assert!(read("numa_maps").lines().all(|line| line.contains("bind:0")));
    let pid = state["pid"].to_string();
    let said = std::process::Command::new("ionice").args(["-p", &pid]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "best-effort: prio 6\n");
    // One that joins runs in the same way, on the processors that it asks for.
    let process = json!({"args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "cwd": "/",
        "env": ["PATH=/bin"], "execCPUAffinity": {"initial": "0-1", "final": "1"}});
    fs::write(bundle.path("process"), process.to_string()).unwrap();
    assert_eq!(bundle.runs(&["exec", "--process", "process", id]), "Cpus_allowed_list:\t1\n");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

#[test]
fn privileged_wrong_values_of_a_process_are_named() {
    for (pointer, wrong, said) in [
        (
            "/process/scheduler",
            json!({"policy": "SCHED_X"}),
            "`process.scheduler.policy` is `SCHED_X`",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "nice": 20}),
            "`process.scheduler.nice` is `20`",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "priority": 1}),
            "`process.scheduler.priority` is `1`",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_FIFO"}),
            "`process.scheduler.priority` is `0`",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "period": 1}),
            "`process.scheduler.period` is `1`",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "flags": ["x"]}),
            "`process.scheduler.flags[0]` is `x`",
        ),
        ("/process/ioPriority", json!({"class": "x"}), "`process.ioPriority.class` is `x`"),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_RT", "priority": 8}),
            "`process.ioPriority.priority` is `8`",
        ),
        (
            "/process/execCPUAffinity",
            json!({"final": "1-0"}),
            "`process.execCPUAffinity.final` is `1-0`",
        ),
        (
            "/process/apparmorProfile",
            json!("x"),
            "`process.apparmorProfile` is set, but AppArmor is not enabled",
        ),
        (
            "/process/selinuxLabel",
            json!("x"),
            "`process.selinuxLabel` is set, but SELinux is not enabled",
        ),
        ("/linux/mountLabel", json!("x"), "`linux.mountLabel` is set, but SELinux is not enabled"),
        ("/linux/personality", json!({"domain": "x"}), "`linux.personality.domain` is `x`"),
        (
            "/linux/personality",
            json!({"domain": "LINUX", "flags": ["x"]}),
            "`linux.personality.flags[0]` is `x`",
        ),
        ("/linux/memoryPolicy", json!({"mode": "x"}), "`linux.memoryPolicy.mode` is `x`"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND"}), "`linux.memoryPolicy.nodes` is ``"),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_DEFAULT", "nodes": "0"}),
            "`linux.memoryPolicy.nodes` is `0`",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "x"}),
            "`linux.memoryPolicy.nodes` is `x`",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["x"]}),
            "`linux.memoryPolicy.flags[0]` is `x`",
        ),
    ] {
        let bundle = Bundle::new("true");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        bundle.change(|spec| spec.pointer_mut(parent).unwrap()[name] = wrong);
        bundle.fails(1, &["create", &bundle.id()], said);
        bundle.is_clean();
    }
}

#[test]
fn privileged_capabilities_that_are_none_are_passed_over() {
    let bundle = Bundle::new("grep CapBnd /proc/self/status");
    bundle.change(|spec| {
        spec["process"]["capabilities"] =
            json!({"bounding": ["CAP_CHOWN", "CAP_FLY"], "effective": ["CAP_FLY"]});
    });
    let output = bundle.oci(&["run", &bundle.id()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "CapBnd:\t0000000000000001\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "note: ignoring unknown or unavailable capability `CAP_FLY`\n");
    bundle.is_clean();
}

/// Runs a command of a shell that has opened a file as descriptor 3 and one as descriptor 4.
fn with_files(bundle: &Bundle, environment: &str, words: &str) -> std::process::Output {
    for name in ["three", "four"] {
        fs::write(bundle.path(name), name).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_creel");
    let script = format!("{environment} exec {program} oci --root states {words} 3<three 4<four");
    let [out, err] = ["out", "err"].map(|name| bundle.path(name));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(bundle.path(""));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let status = command.status().unwrap();
    std::process::Output { status, stdout: fs::read(out).unwrap(), stderr: fs::read(err).unwrap() }
}

#[test]
fn privileged_descriptors_are_handed_through() {
    let script = "cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; ls /proc/self/fd";
    let bundle = Bundle::new(script);
    let id = &bundle.id();
    let run = |environment: &str, options: &str| {
        let output = with_files(&bundle, environment, &format!("run {options} {id}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8_lossy(&output.stdout).replace('\n', " "), said)
    };
    // `ls` has one of its own.
    assert_eq!(run("", "--preserve-fds 2").0, "threefour 0 1 2 3 4 5 ");
    let (said, _) = run("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=a", "--preserve-fds 1");
    assert_eq!(said, "threefour1 1 a 0 1 2 3 4 5 ");
    // What is not for this process is not taken.
    let (said, _) = run("LISTEN_PID=1 LISTEN_FDS=2", "");
    assert!(!said.contains("three"), "{said}");
    let (_, said) = run("", "--preserve-fds 3");
    assert!(said.contains("cannot hand through the descriptor 5"), "{said}");
    let (_, said) = run("", "--preserve-fds 4294967295");
    assert!(said.contains("cannot hand through"), "{said}");
    bundle.is_clean();
    bundle.change(|spec| spec["process"]["args"] = json!(["sleep", "60"]));
    bundle.runs(&["run", "--detach", id]);
    let output = with_files(&bundle, "", &format!("exec --preserve-fds 2 {id} sh -c 'cat <&4'"));
    assert_eq!(output.stdout, b"four");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

#[test]
fn privileged_a_pidfd_is_sent() {
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    let listener = UnixListener::bind(bundle.path("socket")).unwrap();
    let receive = || {
        let (stream, _) = listener.accept().unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut name = [0; 16];
        let mut parts = [IoSliceMut::new(&mut name)];
        recvmsg(stream.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        let pidfd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sent) => sent.next(),
            _ => None,
        });
        let mut text = String::new();
        let number = std::os::fd::AsRawFd::as_raw_fd(&pidfd.as_ref().unwrap().as_fd());
        let mut file = File::open(format!("/proc/self/fdinfo/{number}")).unwrap();
        file.read_to_string(&mut text).unwrap();
        text.lines().find_map(|line| line.strip_prefix("Pid:\t")).unwrap().to_owned()
    };
    bundle.runs(&["create", "--pidfd-socket", "socket", "--pid-file", "pid", id]);
    assert_eq!(receive(), fs::read_to_string(bundle.path("pid")).unwrap());
    bundle.runs(&["start", id]);
    let detached =
        ["exec", "--detach", "--pidfd-socket", "socket", "--pid-file", "pid", id, "sleep", "60"];
    bundle.runs(&detached);
    assert_eq!(receive(), fs::read_to_string(bundle.path("pid")).unwrap());
    bundle.runs(&["delete", "--force", id]);
    bundle.fails(1, &["create", "--pidfd-socket", "nothing", id], "cannot send the pidfd to");
    bundle.is_clean();
}

/// `HOME` is what the container's own list of users says, and a variable that is set twice is there once.
#[test]
fn privileged_the_environment_is_completed() {
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    fs::create_dir(bundle.path("rootfs/etc")).unwrap();
    fs::write(bundle.path("rootfs/etc/passwd"), "a:x:7:7::/home/a:/bin/sh\n").unwrap();
    bundle.change(|spec| spec["process"]["env"] = json!(["PATH=/bin", "A=1", "HOME=", "A=2"]));
    bundle.runs(&["run", "--detach", id]);
    let shown = |words: &[&str]| bundle.runs(&[&["exec"], words, &[id, "busybox", "env"]].concat());
    assert_eq!(shown(&[]), "PATH=/bin\nA=2\nHOME=/\n");
    assert_eq!(shown(&["--user", "7:7", "--env", "A=3"]), "PATH=/bin\nA=3\nHOME=/home/a\n");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

/// Whoever starts the runtime may be pinned to a processor; the container is not.
#[test]
fn privileged_processors_are_those_of_the_control_group() {
    let bundle = Bundle::new("grep Cpus_allowed_list /proc/self/status");
    let id = &bundle.id();
    let all = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let own = bundle.command(&["run", id]);
    let pinned = std::process::Command::new("taskset")
        .args(["--cpu-list", "0"])
        .arg(own.get_program())
        .args(own.get_args())
        .current_dir(own.get_current_dir().unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&pinned.stdout), format!("Cpus_allowed_list:\t{all}"));
    bundle.is_clean();
}

/// A process that joins has the container's personality and memory policy.
#[test]
fn privileged_who_joins_is_treated_as_the_container() {
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    bundle.change(|spec| {
        spec["linux"]["personality"] = json!({"domain": "LINUX32"});
        spec["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
        // What encoders of Go write for lists that are empty.
        spec["linux"]["sysctl"] = Value::Null;
        spec["process"]["rlimits"] = Value::Null;
    });
    bundle.runs(&["run", "--detach", id]);
    let shown = bundle.runs(&["exec", id, "cat", "/proc/self/personality", "/proc/self/numa_maps"]);
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("00000008"));
    assert!(lines.all(|line| line.contains("bind:0")), "{shown}");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

/// A capability is inheritable whether or not it is permitted; what cannot be ambient is told.
#[test]
fn privileged_inheritable_and_ambient_capabilities_are_the_specified() {
    let bundle = Bundle::new("grep Cap /proc/self/status; sleep 60");
    let id = &bundle.id();
    bundle.change(|spec| {
        spec["process"]["capabilities"] = json!({
            "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
            "effective": ["CAP_KILL"], "inheritable": ["CAP_CHOWN", "CAP_FOWNER"],
            "ambient": ["CAP_CHOWN", "CAP_KILL"]});
        spec["process"]["args"] = json!(["sleep", "60"]);
    });
    let started = bundle.oci(&["run", "--detach", id]);
    let told = String::from_utf8_lossy(&started.stderr);
    assert!(told.contains("can't raise ambient capability CAP_KILL"), "{told}");
    let sets = |words: &[&str]| -> Vec<String> {
        let shown =
            bundle.runs(&[&["exec"], words, &[id, "grep", "Cap", "/proc/self/status"]].concat());
        shown
            .lines()
            .map(|line| line.split('\t').nth(1).unwrap().trim_start_matches('0').into())
            .collect()
    };
    // Inheritable, permitted, effective, bounding, ambient; CAP_CHOWN is 1, FOWNER 8, KILL 32.
    assert_eq!(sets(&[]), ["9", "21", "21", "29", "1"]);
    assert_eq!(sets(&["--cap", "CAP_FOWNER"]), ["9", "29", "29", "29", "9"]);
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

/// The first process of a process namespace gets no signal that it has no handler for: one that waits
/// for its start has them.
#[test]
fn privileged_what_waits_for_its_start_ends_when_told() {
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    for signal in ["HUP", "INT", "TERM"] {
        bundle.runs(&["create", id]);
        bundle.runs(&["kill", id, "0"]);
        bundle.runs(&["kill", id, signal]);
        bundle.until("stopped");
        bundle.fails(1, &["kill", id, "0"], "container not running");
        bundle.runs(&["delete", id]);
    }
    bundle.is_clean();
}

/// Root may enter what the user cannot, and the user what a root without capabilities cannot.
#[test]
fn privileged_the_working_directory_is_entered_by_who_may() {
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    let private = bundle.path("rootfs/private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for (owner, user, other) in [(42, "42:42", "0:0"), (0, "0:0", "42:42")] {
        std::os::unix::fs::chown(&private, Some(owner), None).unwrap();
        bundle.change(|spec| {
            spec["process"]["cwd"] = "/private".into();
            spec["process"]["user"] = json!({"uid": owner, "gid": owner});
        });
        bundle.runs(&["run", "--detach", id]);
        for user in [user, other] {
            assert_eq!(bundle.runs(&["exec", "--user", user, id, "sh", "-c", "pwd"]), "/private\n");
        }
        bundle.runs(&["delete", "--force", id]);
    }
    bundle.is_clean();
}
