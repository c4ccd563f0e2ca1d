//! Containers in control groups of whichever version this machine has; needs root. They are repeated
//! in a guest, which has version 2.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{code, options, process, root, spec, start};
use creel_runtime::cgroup;
use creel_runtime::container::{Container, Exec, Identity};
use creel_runtime::spec::{Memory, Pids, Resources};
use creel_spawn::Namespace;
use creel_spawn::cgroup::{Cgroup, Hierarchy};
use creel_testkit::guest;

fn group(name: &str) -> Arc<Cgroup> {
    let mut resources = common::spec("").linux.unwrap().resources.unwrap();
    resources.memory = Some(Memory { limit: Some(64 << 20), ..Memory::default() });
    resources.pids = Some(Pids { limit: Some(20) });
    let hierarchy = Hierarchy::detect().unwrap();
    Arc::new(cgroup::create(hierarchy, &format!("creel-test/{name}"), &resources).unwrap())
}

#[test]
fn privileged_container_sees_its_group_as_the_root() {
    let (root, group) = (root(), group("sees"));
    let options =
        creel_runtime::lower::Options { cgroup: Some(Arc::clone(&group)), ..options(&root) };
    for script in [
        "! grep -E ':(memory|pids|)?:/.*creel' /proc/self/cgroup",
        "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null | grep -qx 20",
        "grep -qx 1 /sys/fs/cgroup/pids/cgroup.procs || grep -qx 1 /sys/fs/cgroup/cgroup.procs",
        "! touch /sys/fs/cgroup/x 2>/dev/null && ! busybox mkdir /sys/fs/cgroup/pids/x 2>/dev/null",
        // The limit of processes holds; busybox's shell ends with 2 when it cannot fork.
        "i=0; while [ $i -lt 30 ]; do sleep 9 & i=$((i+1)); done 2>/dev/null; exit 0",
    ] {
        let expected = if script.starts_with("i=0") { 2 } else { 0 };
        assert_eq!(code(&spec(script), &options), expected, "{script}");
    }
    group.remove().unwrap();
}

#[test]
fn privileged_exec_joins_the_group_and_freezing_stops_both() {
    let (root, group) = (root(), group("exec"));
    let options =
        creel_runtime::lower::Options { cgroup: Some(Arc::clone(&group)), ..options(&root) };
    let running = start(&spec("sleep 60"), &options);
    let identity = Identity::of(running.pid()).unwrap();
    let namespaces = Namespace::ROOT.to_vec();
    let container = Container::open(identity, namespaces, false, Some(Arc::clone(&group))).unwrap();
    let joined = container.exec(&process("sleep 60"), &Exec::default()).unwrap();
    assert!(group.processes().unwrap().contains(&joined.pid()));
    container.freeze(true).unwrap();
    container.freeze(false).unwrap();
    container.kill().unwrap();
    // In this order: the first process of a namespace ends when all others have been reaped.
    assert_eq!((joined.wait().unwrap(), running.wait().unwrap()), (137, 137));
    group.remove().unwrap();
}

#[test]
fn privileged_a_refused_limit_leaves_no_group() {
    let resources =
        Resources { pids: Some(Pids { limit: Some(i64::MAX) }), ..Resources::default() };
    let hierarchy = Hierarchy::detect().unwrap();
    assert!(cgroup::create(hierarchy.clone(), "creel-test/refused", &resources).is_err());
    let directory = match hierarchy {
        Hierarchy::V1(base) => base.join("pids/creel-test/refused"),
        Hierarchy::V2(base) => base.join("creel-test/refused"),
    };
    assert!(!directory.exists());
}

#[test]
fn guest_repeats_them_with_version_2() {
    guest::repeat(&["privileged_"], &[]).unwrap();
}
