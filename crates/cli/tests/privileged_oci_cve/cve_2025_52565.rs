//! What is bound to `/dev/console` is found by a path in the container, where something else is put.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::json;

use crate::oci::Bundle;
use crate::race::{Race, rounds};

/// A container with a terminal, whose `/dev` somebody else fills. What is at the console must be it.
fn with_terminal(dev: &Path, devpts: bool) -> Bundle {
    let bundle = Bundle::new("case $(stat -c %t /dev/console) in 88) ;; *) echo > /wrong ;; esac");
    bundle.change(|spec| {
        spec["root"]["readonly"] = false.into();
        spec["process"]["terminal"] = true.into();
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| {
            let destination = mount["destination"].as_str().unwrap();
            !destination.starts_with("/dev") || devpts && destination == "/dev/pts"
        });
        let at = mounts.iter().position(|mount| mount["destination"] == "/dev/pts").unwrap_or(0);
        mounts.insert(at, json!({"destination": "/dev", "source": dev, "options": ["rbind"]}));
    });
    bundle
}

/// Runs it as far as it goes; what comes over the terminal is nobody's.
fn run(bundle: &Bundle) -> bool {
    let (id, socket) = (&bundle.id(), bundle.path("console"));
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let made = bundle.oci(&["run", "--detach", "--console-socket", "console", id]);
    if made.status.success() {
        let _taken = listener.accept().unwrap();
        bundle.until("stopped");
        bundle.runs(&["delete", id]);
    }
    bundle.is_clean();
    made.status.success()
}

#[test]
fn privileged_what_is_no_terminal_is_refused() {
    let core = "/proc/sys/kernel/core_pattern";
    let before = fs::read(core).unwrap();
    for fake in ["file", "link", "foreign"] {
        let dev = tempfile::tempdir().unwrap();
        let pts = dev.path().join("pts");
        fs::create_dir(&pts).unwrap();
        match fake {
            "file" => drop(File::create(pts.join("ptmx")).unwrap()),
            "link" => symlink(core, pts.join("ptmx")).unwrap(),
            // The multiplexer of the host, on no devpts.
            _ => {
                let node = pts.join("ptmx");
                let mut make = std::process::Command::new("mknod");
                assert!(make.arg(node).args(["c", "5", "2"]).status().unwrap().success());
            }
        }
        assert!(!run(&with_terminal(dev.path(), false)), "{fake}");
    }
    assert_eq!(fs::read(core).unwrap(), before);
}

#[test]
fn privileged_a_swapped_directory_of_terminals_gives_no_other_console() {
    let (dev, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [pts, link] = ["pts", "link"].map(|name| dev.path().join(name));
    fs::create_dir(&pts).unwrap();
    fs::write(host.path().join("ptmx"), "host").unwrap();
    symlink(host.path(), &link).unwrap();
    let bundle = with_terminal(dev.path(), true);
    let race = Race::between(&pts, &link);
    for _ in 0..rounds() / 5 {
        run(&bundle);
        assert!(!bundle.path("rootfs/wrong").exists());
    }
    assert!(race.end() > 20);
    assert_eq!(fs::read_to_string(host.path().join("ptmx")).unwrap(), "host");
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 1);
}
