//! Makes control groups below the mounts of the host; needs root and a hybrid of both versions. What
//! is about version 2 alone is repeated in a guest, where that has all of its controllers.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use creel_spawn::cgroup::{
    Access, Cgroup, CgroupError, Controllers, DeviceRule, Devices, Hierarchy, Missing, Setting,
};
use creel_testkit::guest;

fn create(hierarchy: Hierarchy, name: &str) -> Result<Cgroup, CgroupError> {
    Cgroup::create(hierarchy, name, &Controllers::UsualAnd(Vec::new()))
}

fn setting(controller: &'static str, file: &str, value: &str) -> Setting {
    let files = vec![(file.to_owned(), value.to_owned())];
    Setting { field: file.into(), controller, files, missing: Missing::Refused }
}

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

/// On a hybrid it is beside version 1 and has no controllers.
fn mount_v2() -> PathBuf {
    let hybrid = Path::new("/sys/fs/cgroup/unified");
    if hybrid.exists() { hybrid.into() } else { "/sys/fs/cgroup".into() }
}

#[test]
fn guest_repeats_what_is_about_version_2() {
    let names = [
        "privileged_version_2",
        "privileged_removal",
        "privileged_devices_of_version_2",
        "privileged_a_group_with",
    ];
    guest::repeat(&names, &[]).unwrap();
}

#[test]
fn privileged_version_1() {
    let group = create(Hierarchy::V1("/sys/fs/cgroup".into()), "creel-test-1/a").unwrap();
    let limits = [
        setting("memory", "memory.limit_in_bytes", "67108864"),
        setting("cpu", "cpu.cfs_quota_us", "50000"),
        setting("pids", "pids.max", "9"),
    ];
    group.set(&limits).unwrap();
    for (file, value) in [
        ("memory/creel-test-1/a/memory.limit_in_bytes", "67108864"),
        ("cpu/creel-test-1/a/cpu.cfs_quota_us", "50000"),
        ("pids/creel-test-1/a/pids.max", "9"),
    ] {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{file}")).unwrap();
        assert_eq!(text.trim(), value, "{file}");
    }
    live_and_die(&group);
    for controller in ["memory", "cpu", "pids", "freezer", "devices"] {
        fs::remove_dir(format!("/sys/fs/cgroup/{controller}/creel-test-1")).unwrap();
    }
}

/// In either order, and both ways: each can be refused because of the other's old value.
#[test]
fn privileged_values_that_bound_one_another_are_set_in_any_order() {
    let group = create(Hierarchy::V1("/sys/fs/cgroup".into()), "creel-test-7").unwrap();
    let [low, high] = ["67108864", "134217728"];
    for memory in [high, low, high] {
        let [all, swap] = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
            .map(|file| setting("memory", file, memory));
        group.set(&[all.clone(), swap.clone()]).unwrap();
        group.set(&[swap, all]).unwrap();
    }
    let refused = group.set(&[setting("memory", "memory.swappiness", "1000")]).unwrap_err();
    assert_eq!(refused.field, "memory.swappiness");
    let missing = group.set(&[setting("memory", "memory.none", "1")]).unwrap_err();
    assert!(matches!(missing.source, CgroupError::NoController { controller: "memory" }));
    group.remove().unwrap();
}

/// A group is a container's own: what is in it would end with the container.
#[test]
fn privileged_a_group_with_processes_is_not_taken() {
    for hierarchy in [Hierarchy::detect().unwrap(), Hierarchy::V2(mount_v2())] {
        let group = create(hierarchy.clone(), "creel-test-8").unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        group.join(i32::try_from(child.id()).unwrap()).unwrap();
        let again = create(hierarchy.clone(), "creel-test-8");
        assert!(matches!(again, Err(CgroupError::NotEmpty { count: 1, .. })), "{again:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        group.freeze(true).unwrap();
        assert!(group.is_frozen());
        let again = create(hierarchy.clone(), "creel-test-8");
        assert!(matches!(again, Err(CgroupError::Frozen { .. })), "{again:?}");
        group.freeze(false).unwrap();
        create(hierarchy, "creel-test-8").unwrap().remove().unwrap();
    }
}

#[test]
fn privileged_version_2() {
    let group = create(Hierarchy::V2(mount_v2()), "creel-test-2/a").unwrap();
    assert!(group.open().unwrap().is_some());
    live_and_die(&group);
    assert!(!mount_v2().join("creel-test-2/a").exists());
    fs::remove_dir(mount_v2().join("creel-test-2")).unwrap();
}

#[test]
fn privileged_removal_kills_what_is_left() {
    for (hierarchy, name) in [
        (Hierarchy::detect().unwrap(), "creel-test-3"),
        (Hierarchy::V2(mount_v2()), "creel-test-4"),
    ] {
        let group = create(hierarchy, name).unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        group.join(i32::try_from(child.id()).unwrap()).unwrap();
        let waiter = std::thread::spawn(move || child.wait().unwrap().signal());
        group.remove().unwrap();
        assert_eq!(waiter.join().unwrap(), Some(9));
        group.remove().unwrap();
    }
}

#[test]
fn privileged_devices_of_version_1_are_refused() {
    let group = create(Hierarchy::V1("/sys/fs/cgroup".into()), "creel-test-5").unwrap();
    refuses_devices(&group, Path::new("/sys/fs/cgroup/devices/creel-test-5"));
}

#[test]
fn privileged_devices_of_version_2_are_refused() {
    let group = create(Hierarchy::V2(mount_v2()), "creel-test-6").unwrap();
    refuses_devices(&group, &mount_v2().join("creel-test-6"));
}

/// A process that enters a group can open what the group allows, and nothing else.
fn refuses_devices(group: &Cgroup, directory: &Path) {
    let rule = |allow, devices, major| DeviceRule {
        allow,
        devices,
        major,
        minor: major.map(|_| 3),
        access: Access::ALL,
    };
    let rules = [rule(false, Devices::All, None), rule(true, Devices::Character, Some(1))];
    group.allow_devices(&rules).unwrap();
    let script = format!(
        "echo $$ > {}/cgroup.procs && echo > /dev/null && ! head -c1 /dev/zero",
        directory.display()
    );
    let done = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    group.remove().unwrap();
}

#[test]
fn names_cannot_leave() {
    for name in ["", "..", "a/../b", "/a", "a//b", "a\0"] {
        let made = create(Hierarchy::V2("/none".into()), name);
        assert!(matches!(made, Err(CgroupError::Name { .. })), "{name}");
    }
}
