//! Makes control groups below the mounts of the host; needs root and both versions.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use creel_spawn::cgroup::{Cgroup, CgroupError, Hierarchy, Limits};

fn live_and_die(group: &Cgroup) {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    group.join(pid).unwrap();
    assert_eq!(group.processes().unwrap(), [pid]);
    group.freeze(true).unwrap();
    group.freeze(false).unwrap();
    group.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    group.remove().unwrap();
}

#[test]
fn privileged_version_1() {
    let group = Cgroup::create(Hierarchy::V1("/sys/fs/cgroup".into()), "creel-test-1/a").unwrap();
    let limits = Limits { memory: Some(1 << 26), cpu: Some((50_000, 100_000)), pids: Some(9) };
    group.limit(&limits).unwrap();
    for (file, value) in [
        ("memory/creel-test-1/a/memory.limit_in_bytes", "67108864"),
        ("cpu/creel-test-1/a/cpu.cfs_quota_us", "50000"),
        ("pids/creel-test-1/a/pids.max", "9"),
    ] {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{file}")).unwrap();
        assert_eq!(text.trim(), value, "{file}");
    }
    live_and_die(&group);
    for controller in ["memory", "cpu", "pids", "freezer"] {
        fs::remove_dir(format!("/sys/fs/cgroup/{controller}/creel-test-1")).unwrap();
    }
}

#[test]
fn privileged_version_2() {
    let mount = "/sys/fs/cgroup/unified";
    let group = Cgroup::create(Hierarchy::V2(mount.into()), "creel-test-2").unwrap();
    assert!(group.open().unwrap().is_some());
    live_and_die(&group);
    assert!(!fs::exists(format!("{mount}/creel-test-2")).unwrap());
}

#[test]
fn names_cannot_leave() {
    for name in ["", "..", "a/../b", "/a", "a//b", "a\0"] {
        let made = Cgroup::create(Hierarchy::V2("/none".into()), name);
        assert!(matches!(made, Err(CgroupError::Name { .. })), "{name}");
    }
}
