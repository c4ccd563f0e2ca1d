//! `creel oci` as other tools call it; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs::{self, File};
use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use oci::Bundle;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

#[test]
fn privileged_a_container_goes_through_its_life() {
    let bundle = Bundle::new("echo started > /said; exec sleep 60");
    bundle.change(|spec| spec["root"]["readonly"] = false.into());
    let id = &bundle.id();
    bundle.runs(&["create", "--pid-file", "pid", id]);
    let state: Value = serde_json::from_str(&bundle.runs(&["state", id])).unwrap();
    assert_eq!((&state["status"], &state["id"]), (&json!("created"), &json!(id)));
    assert_eq!(state["pid"].to_string(), fs::read_to_string(bundle.path("pid")).unwrap());
    assert!(!bundle.path("rootfs/said").exists());
    // What the bundle says later does not count.
    bundle.change(|spec| spec["process"]["args"] = json!(["nothing"]));
    bundle.fails(1, &["create", id], "already exists");
    bundle.runs(&["start", id]);
    assert_eq!(bundle.status(), "running");
    bundle.fails(1, &["start", id], "which is running");
    bundle.fails(1, &["delete", id], "not stopped");
    bundle.runs(&["kill", id, "KILL"]);
    bundle.until("stopped");
    assert_eq!(fs::read_to_string(bundle.path("rootfs/said")).unwrap(), "started\n");
    bundle.fails(1, &["kill", id, "TERM"], "container not running");
    bundle.runs(&["kill", "--all", id, "9"]);
    assert!(bundle.runs(&["list"]).contains("stopped"));
    bundle.runs(&["delete", id]);
    bundle.fails(1, &["state", id], "does not exist");
    bundle.fails(1, &["delete", id], "does not exist");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

#[test]
fn privileged_what_cannot_be_executed_is_told_when_it_is_found_out() {
    let bundle = Bundle::new("");
    let id = &bundle.id();
    bundle.change(|spec| spec["process"]["args"] = json!(["nothing"]));
    bundle.fails(1, &["--log", "log", "--log-format", "json", "create", id], "`nothing`");
    let line: Value = serde_json::from_slice(&fs::read(bundle.path("log")).unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains("No such file or directory"));
    bundle.is_clean();
    // That it is no program shows when it is executed.
    fs::write(bundle.path("rootfs/bin/text"), "no program").unwrap();
    Command::new("chmod").arg("755").arg(bundle.path("rootfs/bin/text")).status().unwrap();
    bundle.change(|spec| spec["process"]["args"] = json!(["text"]));
    bundle.runs(&["create", id]);
    bundle.fails(1, &["start", id], "`text`: Exec format error");
    bundle.until("stopped");
    bundle.runs(&["delete", id]);
    bundle.is_clean();
}

#[test]
fn privileged_a_filter_that_forbids_waiting_does_not_keep_it_from_starting() {
    for no_new_privileges in [true, false] {
        let bundle = Bundle::new("echo out");
        bundle.change(|spec| {
            spec["process"]["noNewPrivileges"] = no_new_privileges.into();
            spec["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["accept", "accept4"], "action": "SCMP_ACT_KILL_PROCESS"}],
            });
        });
        let id = &bundle.id();
        bundle.runs(&["create", id]);
        bundle.runs(&["start", id]);
        bundle.until("stopped");
        bundle.runs(&["delete", id]);
        assert_eq!(bundle.runs(&["run", id]), "out\n");
        bundle.is_clean();
    }
}

#[test]
fn privileged_the_states_of_another_user_are_not_used() {
    let bundle = Bundle::new("true");
    fs::create_dir(bundle.path("states")).unwrap();
    std::os::unix::fs::chown(bundle.path("states"), Some(65534), None).unwrap();
    bundle.fails(1, &["create", &bundle.id()], "belongs to another user");
    bundle.fails(1, &["list"], "belongs to another user");
}

#[test]
fn privileged_run_ends_as_its_program_does() {
    let bundle = Bundle::new("id -u; exit 7");
    let id = &bundle.id();
    let output = bundle.oci(&["run", id]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), &b"0\n"[..]));
    bundle.is_clean();
    assert_eq!(bundle.oci(&["run", "--keep", id]).status.code(), Some(7));
    assert_eq!(bundle.status(), "stopped");
    bundle.runs(&["delete", id]);
    bundle.is_clean();
}

#[test]
fn privileged_further_programs_run_in_a_container() {
    let bundle = Bundle::new("sleep 60");
    let id = &bundle.id();
    bundle.fails(255, &["exec", id, "true"], "does not exist");
    bundle.runs(&["run", "--detach", id]);
    assert_eq!(bundle.runs(&["exec", "-user", "5:6", id, "id"]), "uid=5 gid=6\n");
    assert_eq!(bundle.oci(&["exec", id, "sh", "-c", "exit 3"]).status.code(), Some(3));
    bundle.fails(255, &["exec", id, "nothing"], "could not execute `nothing`");
    bundle.fails(1, &["exec", "--user", "5:6x", id, "id"], "no id");
    let process = json!({"args": ["sh", "-c", "echo $A"], "env": ["A=b", "PATH=/bin"], "cwd": "/"});
    fs::write(bundle.path("process"), process.to_string()).unwrap();
    assert_eq!(bundle.runs(&["exec", "--process", "process", id]), "b\n");
    bundle.runs(&["exec", "--detach", "--pid-file", "pid", id, "sleep", "60"]);
    let pid = fs::read_to_string(bundle.path("pid")).unwrap();
    assert!(Path::new("/proc").join(&pid).exists());
    bundle.runs(&["delete", "--force", id]);
    assert!(!Path::new("/proc").join(pid).exists());
    bundle.is_clean();
}

#[test]
fn privileged_a_terminal_goes_to_the_console_socket() {
    let bundle = Bundle::new("tty; echo end");
    let id = &bundle.id();
    bundle.change(|spec| spec["process"]["terminal"] = true.into());
    bundle.fails(1, &["create", id], "console socket");
    let listener = UnixListener::bind(bundle.path("console")).unwrap();
    bundle.runs(&["create", "--console-socket", "console", id]);
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut name)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(stream.as_fd(), &mut parts, &mut control, flags).unwrap();
    let master = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sent) => sent.next(),
        _ => None,
    });
    bundle.runs(&["start", id]);
    let mut text = Vec::new();
    // Reading the master ends with EIO once the slave is closed.
    let _ = File::from(master.unwrap()).read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text), "/dev/pts/0\r\nend\r\n");
    bundle.until("stopped");
    bundle.runs(&["delete", id]);
    bundle.is_clean();
}
