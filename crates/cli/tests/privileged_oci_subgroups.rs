//! `creel oci` and control groups below a container's own, and above it; needs root and a static
//! `/bin/busybox`. Repeated in a guest, which has version 2.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;
use std::path::{Path, PathBuf};

use creel_testkit::guest;
use oci::Bundle;
use serde_json::{Value, json};

const MOUNT: &str = "/sys/fs/cgroup";

fn is_v2() -> bool {
    Path::new(MOUNT).join("cgroup.controllers").exists()
}

/// Where the group of a bundle's container is.
fn group(bundle: &Bundle, controller: &str) -> PathBuf {
    let base = if is_v2() { MOUNT.into() } else { Path::new(MOUNT).join(controller) };
    base.join("creel-test").join(bundle.id())
}

/// The group of a process of the container in one hierarchy, as the host has it.
fn of_process(pid: i64, controller: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = text.lines().find(|line| {
        let names = line.split(':').nth(1).unwrap();
        if is_v2() {
            line.starts_with("0::")
        } else {
            names.split(',').any(|one| one == controller)
        }
    });
    line.unwrap().rsplit(':').next().unwrap().to_owned()
}

/// Starts a process by `exec` with further options; its group.
fn executed(bundle: &Bundle, options: &[&str], controller: &str) -> String {
    let file = bundle.path("pid");
    let words = ["exec", "--detach", "--pid-file", file.to_str().unwrap()];
    bundle.runs(&[&words, options, &[&bundle.id(), "sleep", "60"]].concat());
    of_process(fs::read_to_string(file).unwrap().trim().parse().unwrap(), controller)
}

#[test]
fn privileged_exec_enters_named_groups_below() {
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    bundle.runs(&["run", "-d", id]);
    let own = format!("/creel-test/{id}");
    for controller in ["memory", "cpu", "pids"] {
        fs::create_dir_all(group(&bundle, controller).join("sub/below")).unwrap();
    }
    assert_eq!(executed(&bundle, &[], "memory"), own);
    assert_eq!(executed(&bundle, &["--cgroup", "/"], "memory"), own);
    let words = ["exec", "--cgroup"];
    let fails =
        |path: &str, said| bundle.fails(255, &[&words, &[path, id, "true"][..]].concat(), said);
    for path in ["..", "sub/../..", "./sub"] {
        fails(path, "bad sub cgroup path");
    }
    let said = "error adding pid of a new process to cgroups: could not access";
    fails("none", said);
    fails("whaaat:/", "unknown controller `whaaat`");
    fails(":sub", "invalid --cgroup argument: :sub (empty <controller> prefix)");
    bundle.fails(
        255,
        &["exec", "--cgroup", "a", "--cgroup", "b", id, "true"],
        "missing <controller>",
    );
    bundle.fails(255, &["exec", "--cgroup", "cpu,cpu:a", id, "true"], "specified multiple times");
    if is_v2() {
        assert_eq!(executed(&bundle, &["--cgroup", "sub/below"], ""), format!("{own}/sub/below"));
    } else {
        fails("cpu:none", said);
        let options = ["--cgroup", "memory:sub", "--cgroup", "cpu,pids:/sub/below/"];
        assert_eq!(executed(&bundle, &options, "memory"), format!("{own}/sub"));
        assert_eq!(executed(&bundle, &options, "cpu"), format!("{own}/sub/below"));
        assert_eq!(executed(&bundle, &options, "freezer"), own);
    }
    // All of them are listed, stopped and removed.
    let processes: Vec<i64> =
        serde_json::from_str(&bundle.runs(&["ps", "-f", "json", id])).unwrap();
    assert!(processes.len() >= 3, "{processes:?}");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

/// Processes of containers without a process namespace of their own, in groups that these have made.
#[test]
fn privileged_what_is_in_groups_below_ends_with_the_container() {
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    bundle.change(|spec| {
        let all = spec["linux"]["namespaces"].as_array_mut().unwrap();
        all.retain(|one| one["type"] != "pid");
    });
    for words in [&["kill", id, "KILL"][..], &["delete", "--force", id]] {
        bundle.runs(&["run", "-d", id]);
        let controllers = ["memory", "cpu", "pids", "freezer", "devices"];
        for controller in &controllers[..if is_v2() { 1 } else { 5 }] {
            fs::create_dir_all(group(&bundle, controller).join("sub")).unwrap();
        }
        let file = bundle.path("pid");
        let exec = ["exec", "-d", "--cgroup", "sub", "--pid-file", file.to_str().unwrap()];
        // With version 1 in those that every group is made in, of which a container has more.
        let some: Vec<String> = controllers.iter().map(|name| format!("{name}:sub")).collect();
        let some: Vec<&str> = some.iter().flat_map(|one| ["--cgroup", one.as_str()]).collect();
        let exec = match is_v2() {
            true => exec.to_vec(),
            false => [&["exec", "-d", "--pid-file", file.to_str().unwrap()], &some[..]].concat(),
        };
        bundle.runs(&[&exec, &[id.as_str(), "sleep", "60"][..]].concat());
        let process = Path::new("/proc").join(fs::read_to_string(&file).unwrap().trim());
        assert!(process.exists());
        bundle.runs(words);
        bundle.runs(&["delete", "--force", id]);
        let state = fs::read_to_string(process.join("stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z"), "{words:?}: {state}");
        bundle.is_clean();
    }
}

/// As systemd in a container does it.
#[test]
fn privileged_exec_follows_a_process_that_has_divided_its_group() {
    if !is_v2() {
        // The guest has version 2. In version 1 a group may have both.
        return;
    }
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    bundle.runs(&["run", "-d", id]);
    let (own, directory) = (format!("/creel-test/{id}"), group(&bundle, ""));
    let state: Value = serde_json::from_str(&bundle.runs(&["state", id])).unwrap();
    fs::create_dir(directory.join("init")).unwrap();
    fs::write(directory.join("init/cgroup.procs"), state["pid"].to_string()).unwrap();
    assert_eq!(executed(&bundle, &[], ""), own);
    bundle.runs(&["delete", "--force", id]);
    bundle.runs(&["run", "-d", id]);
    let state: Value = serde_json::from_str(&bundle.runs(&["state", id])).unwrap();
    fs::create_dir(directory.join("init")).unwrap();
    fs::write(directory.join("init/cgroup.procs"), state["pid"].to_string()).unwrap();
    fs::write(directory.join("cgroup.subtree_control"), "+memory").unwrap();
    assert_eq!(executed(&bundle, &[], ""), format!("{own}/init"));
    assert_eq!(executed(&bundle, &["--cgroup", "init"], ""), format!("{own}/init"));
    let words = ["exec", "--cgroup", "/", id, "true"];
    bundle.fails(255, &words, "to cgroups: could not access");
    bundle.fails(255, &words, "resource busy");
    bundle.runs(&["pause", id]);
    assert_eq!(bundle.status(), "paused");
    bundle.runs(&["resume", id]);
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

/// Below a group whose threads are divided.
#[test]
fn privileged_a_threaded_subtree_takes_what_can_be_divided_so() {
    if !is_v2() {
        return;
    }
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    let above = Path::new(MOUNT).join(format!("creel-test-{id}"));
    fs::create_dir_all(above.join("threads")).unwrap();
    fs::write(above.join("threads/cgroup.type"), "threaded").unwrap();
    let path = format!("/creel-test-{id}/a/{id}");
    bundle.change(|spec| {
        spec["linux"]["cgroupsPath"] = path.clone().into();
        spec["linux"]["resources"] = json!({"pids": {"limit": 20}});
    });
    bundle.runs(&["run", "-d", id]);
    let value = |file: &str| fs::read_to_string(format!("{MOUNT}{path}/{file}")).unwrap();
    assert_eq!((value("cgroup.type"), value("pids.max")), ("threaded\n".into(), "20\n".into()));
    assert_eq!(executed(&bundle, &[], ""), path);
    bundle.runs(&["delete", "--force", id]);
    bundle.change(|spec| spec["linux"]["resources"]["memory"] = json!({"limit": 1 << 25}));
    bundle.fails(1, &["run", id], "in a threaded subtree");
    for group in [above.join("a"), above.join("threads"), above] {
        fs::remove_dir(group).unwrap();
    }
    bundle.is_clean();
}

#[test]
fn privileged_limits_of_version_2_go_by_its_rules() {
    if !is_v2() {
        return;
    }
    let bundle = Bundle::new("exec sleep 60");
    let id = &bundle.id();
    let fails = |unified: Value, said: &str| {
        bundle.change(|spec| spec["linux"]["resources"] = json!({"unified": unified}));
        bundle.fails(1, &["run", id], said);
    };
    fails(json!({"memory.nothing": "1"}), "could not write `1` to");
    fails(json!({"nothing.max": "1"}), "`linux.resources.unified` is `nothing.max`");
    fails(json!({"memory/max": "1"}), "`linux.resources.unified` is `memory/max`");
    fails(json!({"memory.max": "x"}), "cannot set `linux.resources.unified.memory.max`");
    bundle.change(|spec| {
        spec["linux"]["resources"] = json!({
            "memory": {"limit": -1, "swap": 1 << 25},
            "cpu": {"idle": 1, "shares": 512, "burst": 3000, "quota": 5000, "period": 10_000},
            "unified": {"memory.oom.group": "1", "memory.max": "64M"},
        });
    });
    bundle.runs(&["run", "-d", id]);
    let value = |file: &str| fs::read_to_string(group(&bundle, "").join(file)).unwrap();
    assert_eq!([value("memory.oom.group"), value("memory.max")], ["1\n", "67108864\n"]);
    assert_eq!([value("cpu.idle"), value("cpu.max.burst")], ["1\n", "3000\n"]);
    // The guest has no swap; the value is kept nevertheless.
    assert_eq!(value("memory.swap.max"), "33554432\n");
    let update = |text: &str, code: Option<i32>| {
        let file = bundle.path("update");
        fs::write(&file, text).unwrap();
        let words = ["update", "-r", file.to_str().unwrap(), id];
        match code {
            Some(code) => bundle.fails(code, &words, "more than is in use"),
            None => drop(bundle.runs(&words)),
        }
    };
    update(r#"{"cpu": {"burst": 40000, "quota": 50000, "period": 100000}}"#, None);
    assert_eq!([value("cpu.max.burst"), value("cpu.max")], ["40000\n", "50000 100000\n"]);
    update(r#"{"cpu": {"idle": 0, "shares": 1024}}"#, None);
    assert_eq!([value("cpu.idle"), value("cpu.weight")], ["0\n", "100\n"]);
    update(r#"{"memory": {"limit": 1, "checkBeforeUpdate": true}}"#, Some(1));
    update(r#"{"memory": {"limit": -1, "swap": 1, "checkBeforeUpdate": true}}"#, Some(1));
    assert_eq!(value("memory.max"), "67108864\n");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

#[test]
fn guest_repeats_them_with_version_2() {
    let programs = [env!("CARGO_BIN_EXE_creel")].map(Path::new);
    guest::repeat(&["privileged_"], &programs).unwrap();
}
