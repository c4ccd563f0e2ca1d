//! `creel oci` and control groups of whichever version this machine has; needs root and a static
//! `/bin/busybox`. Repeated in a guest, which has version 2.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;
use std::path::{Path, PathBuf};

use creel_testkit::guest;
use oci::Bundle;
use serde_json::{Value, json};

/// Where the group of a bundle's container is, in a hierarchy of version 1 or in version 2.
fn group(bundle: &Bundle, controller: &str) -> PathBuf {
    let mount = Path::new("/sys/fs/cgroup");
    let base = if is_v2() { mount.into() } else { mount.join(controller) };
    base.join("creel-test").join(bundle.id())
}

fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A value of the container's group.
fn value(bundle: &Bundle, controller: &str, v1: &str, v2: &str) -> String {
    let file = group(bundle, controller).join(if is_v2() { v2 } else { v1 });
    fs::read_to_string(&file).unwrap_or_else(|error| format!("{file:?}: {error}")).trim().into()
}

#[test]
fn privileged_pausing_stops_everything_until_it_is_resumed() {
    let bundle = Bundle::new("sleep 60 & exec sleep 60");
    let id = &bundle.id();
    bundle.runs(&["create", id]);
    // Also before it is started.
    bundle.runs(&["pause", id]);
    assert_eq!(bundle.status(), "paused");
    bundle.fails(1, &["start", id], "which is paused");
    bundle.runs(&["resume", id]);
    bundle.fails(1, &["resume", id], "container not paused");
    bundle.runs(&["start", id]);
    bundle.runs(&["pause", id]);
    assert_eq!(bundle.status(), "paused");
    assert!(bundle.runs(&["list"]).contains("paused"));
    bundle.fails(1, &["pause", id], "container not running");
    bundle.fails(255, &["exec", id, "true"], "cannot exec in a paused container");
    bundle.fails(1, &["delete", id], "not stopped");
    bundle.runs(&["resume", id]);
    assert_eq!(bundle.status(), "running");
    bundle.runs(&["exec", id, "true"]);
    bundle.runs(&["pause", id]);
    bundle.runs(&["kill", id, "KILL"]);
    bundle.until("stopped");
    bundle.fails(1, &["pause", id], "container not running");
    bundle.fails(1, &["resume", id], "container not paused");
    bundle.runs(&["delete", id]);
    bundle.is_clean();
}

#[test]
fn privileged_a_paused_container_is_deleted_by_force() {
    let bundle = Bundle::new("sleep 60 & exec sleep 60");
    let id = &bundle.id();
    for before in [&["create", "pause"][..], &["create", "start", "pause"]] {
        before.iter().for_each(|command| drop(bundle.runs(&[command, id])));
        bundle.runs(&["delete", "--force", id]);
        bundle.is_clean();
    }
}

#[test]
fn privileged_limits_are_set_and_updated() {
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    bundle.change(|spec| {
        spec["linux"]["resources"] = json!({
            "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20, "kernel": 1},
            "cpu": {"shares": 1024, "quota": 50_000, "period": 100_000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 20},
        });
    });
    bundle.runs(&["run", "-d", id]);
    let memory = || value(&bundle, "memory", "memory.limit_in_bytes", "memory.max");
    let swap = || value(&bundle, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
    let cpu = || match is_v2() {
        true => value(&bundle, "cpu", "", "cpu.max"),
        false => {
            let read = |name| value(&bundle, "cpu", name, "");
            [read("cpu.cfs_quota_us"), read("cpu.cfs_period_us")].join(" ")
        }
    };
    let shares = || value(&bundle, "cpu", "cpu.shares", "cpu.weight");
    let swap_of = |both: u64, memory: u64| if is_v2() { both - memory } else { both }.to_string();
    assert_eq!((memory(), swap()), ((64 << 20).to_string(), swap_of(96 << 20, 64 << 20)));
    assert_eq!(value(&bundle, "pids", "pids.max", "pids.max"), "20");
    assert_eq!(cpu(), "50000 100000");
    assert_eq!(shares(), if is_v2() { "100" } else { "1024" });
    assert_eq!(value(&bundle, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    let low = value(&bundle, "memory", "memory.soft_limit_in_bytes", "memory.low");
    assert_eq!(low, (32 << 20).to_string());
    // One after the other; what is not named stays.
    bundle.runs(&["update", "--memory", "128m", "--memory-swap", "256m", id]);
    assert_eq!((memory(), swap()), ((128 << 20).to_string(), swap_of(256 << 20, 128 << 20)));
    assert_eq!(cpu(), "50000 100000");
    bundle.runs(&["update", "--cpu-quota", "20000", "--cpu-share", "2048", id]);
    assert_eq!(cpu(), "20000 100000");
    assert_eq!(shares(), if is_v2() { "174" } else { "2048" });
    bundle.runs(&["update", id, "--cpu-period", "50000"]);
    assert_eq!(cpu(), "20000 50000");
    fs::write(bundle.path("limits"), r#"{"pids": {"limit": 30}, "unknown": 1}"#).unwrap();
    bundle.runs(&["update", "--resources=limits", id]);
    assert_eq!(value(&bundle, "pids", "pids.max", "pids.max"), "30");
    bundle.runs(&["update", "--memory", "-1", "--pids-limit", "-1", id]);
    assert_eq!(value(&bundle, "pids", "pids.max", "pids.max"), "max");
    assert!(memory() == "max" || memory().parse::<u64>().unwrap() > 1 << 60, "{}", memory());
    let field = "`linux.resources.cpu.cpus` is `x`";
    bundle.fails(1, &["update", "--cpuset-cpus", "x", id], field);
    bundle.fails(
        1,
        &["update", "--cpuset-cpus", "4000", id],
        "cannot set `linux.resources.cpu.cpus`",
    );
    fs::write(
        bundle.path("limits"),
        r#"{"memory": {"limit": 1, "swap": 1, "checkBeforeUpdate": true}}"#,
    )
    .unwrap();
    bundle.fails(1, &["update", "-r", "limits", id], "more than is in use");
    bundle.runs(&["delete", "-f", id]);
    bundle.fails(1, &["update", "--pids-limit", "1", id], "does not exist");
    bundle.is_clean();
}

#[test]
fn privileged_processes_are_listed() {
    let bundle = Bundle::new("sleep 61 & exec sleep 60");
    let id = &bundle.id();
    bundle.runs(&["run", "-d", "--pid-file", "pid", id]);
    let pids: Value = serde_json::from_str(&bundle.runs(&["ps", "--format", "json", id])).unwrap();
    let first: Value = fs::read_to_string(bundle.path("pid")).unwrap().parse().unwrap();
    assert!(pids.as_array().unwrap().contains(&first), "{pids}");
    let table = bundle.runs(&["ps", id]);
    assert!(table.contains("PID") && table.contains("sleep 60"), "{table}");
    let table = bundle.runs(&["ps", id, "-e", "-o", "pid,comm"]);
    assert!(table.contains("COMMAND") && table.contains("sleep"), "{table}");
    bundle.fails(1, &["ps", id, "-e", "-o", "comm"], "no column `PID`");
    bundle.runs(&["delete", "-f", id]);
    bundle.is_clean();
}

#[test]
fn privileged_wrong_groups_are_refused_and_leave_nothing() {
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    for (change, said) in [
        (json!({"cgroupsPath": "/creel-test/../x"}), "`linux.cgroupsPath` is `/creel-test/../x`"),
        (json!({"resources": {"memory": {"swap": 5}}}), "linux.resources.memory.swap"),
        (
            json!({"resources": {"pids": {"limit": i64::MAX}}}),
            "cannot set `linux.resources.pids.limit`",
        ),
        (json!({"resources": {"unified": {"../pids.max": "1"}}}), "linux.resources.unified"),
    ] {
        if is_v2() && change.to_string().contains("swap") || !change.to_string().contains("swap") {
            bundle.change(|spec| {
                spec["linux"]["cgroupsPath"] = format!("/creel-test/{id}").into();
                spec["linux"]["resources"] = json!({});
                for (key, value) in change.as_object().unwrap() {
                    spec["linux"][key] = value.clone();
                }
            });
            bundle.fails(1, &["create", id], said);
            bundle.is_clean();
        }
    }
}

/// A container without a process namespace of its own may leave processes behind.
#[test]
fn privileged_killing_reaches_what_shares_the_hosts_processes() {
    let bundle = Bundle::new("sleep 60 & sleep 0.2");
    let id = &bundle.id();
    bundle.change(|spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
    });
    bundle.runs(&["run", "-d", id]);
    bundle.until("stopped");
    assert_ne!(bundle.runs(&["ps", "-f", "json", id]), "[]\n");
    bundle.runs(&["kill", "--all", id, "KILL"]);
    let mut tries = 0;
    while bundle.runs(&["ps", "-f", "json", id]) != "[]\n" {
        assert!(tries < 100);
        tries += 1;
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    bundle.runs(&["delete", id]);
    bundle.is_clean();
}

#[test]
fn guest_repeats_them_with_version_2() {
    let programs = [env!("CARGO_BIN_EXE_creel")].map(Path::new);
    guest::repeat(&["privileged_"], &programs).unwrap();
}
