//! `creel oci` as a user who may divide a control group of version 2, which a guest has.
#![allow(clippy::unwrap_used, clippy::panic)] // in the helpers of tests

#[path = "shared/guest_spec.rs"]
mod guest_spec;

use creel_testkit::guest::{Guest, Setup};
use guest_spec::{map_user, specification};
use serde_json::json;

/// A `config.json` for the user, with limits.
fn spec() -> Vec<u8> {
    let mut spec = specification();
    map_user(&mut spec);
    spec["linux"]["resources"] = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}});
    serde_json::to_vec(&spec).unwrap()
}

const PREPARE: &str = "set -e; mkdir -p bundle/rootfs/bin; cp /bin/busybox bundle/rootfs/bin; \
                       for name in sh sleep cat id; do ln -sf busybox bundle/rootfs/bin/$name; done; \
                       cp /spec.json bundle/config.json";

/// A guest in which the user has a bundle in the home directory.
struct World(Guest);

impl World {
    fn new() -> Self {
        let program = env!("CARGO_BIN_EXE_creel");
        let setup = Setup::default().program(program).unwrap().file("/spec.json", 0o644, spec());
        let setup = setup.file("/lib.sh", 0o644, include_bytes!("guest_cgroups.sh").to_vec());
        let mut guest = setup.boot().unwrap();
        guest.run(&format!("ln -s {program} /usr/bin/creel")).unwrap();
        let mut world = Self(guest);
        world.runs("", PREPARE);
        world
    }

    /// Runs a script as the user after another one as root; what it prints.
    fn runs(&mut self, before: &str, script: &str) -> String {
        let quoted = script.replace('\'', "'\\''");
        let all = format!(". /lib.sh; {before}\nexec 2>&1; as_user 'set -e; {quoted}'");
        let output = self.0.output(&all).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{script}: {said}");
        said
    }
}

#[test]
fn guest_a_user_limits_containers_in_a_delegated_group() {
    let mut world = World::new();
    let refused = world.runs("", "cd bundle; ! creel oci run x 2>&1");
    assert!(refused.contains("rootless needs no limits + no cgrouppath"), "{refused}");
    let enter = "enter_delegated /sys/fs/cgroup/mine";
    let group = "/sys/fs/cgroup/mine/box";
    let run = "cd bundle; creel oci run -d box >/tmp/said 2>&1 || { cat /tmp/said; false; };";
    let limits = format!("{run} cat {group}/memory.max {group}/pids.max");
    assert_eq!(world.runs(enter, &limits), "67108864\n20");
    let mut mine =
        |script: &str| world.runs("echo $$ > /sys/fs/cgroup/mine/session/cgroup.procs", script);
    assert_eq!(mine("creel oci exec box cat /proc/self/cgroup"), "0::/");
    assert_eq!(mine("creel oci ps -f json box | grep -c '^\\[[0-9]*\\]$'"), "1");
    mine("creel oci pause box; creel oci state box | grep -q paused; creel oci resume box");
    mine("creel oci update --memory 32m --pids-limit 9 box");
    assert_eq!(mine(&format!("cat {group}/memory.max {group}/pids.max")), "33554432\n9");
    mine("creel oci kill box KILL; sleep 1; creel oci delete box");
    assert_eq!(mine(&format!("ls -d {group} 2>/dev/null || true")), "");
    // A path begins at the mount where it leads to what is the user's, else at that.
    for (path, group) in [
        ("/mine/a/box", "mine/a/box"),
        ("/other/box", "mine/other/box"),
        ("relative/box", "mine/relative/box"),
    ] {
        let set =
            format!("sed -i 's|\"linux\":{{|&\"cgroupsPath\":\"{path}\",|' bundle/config.json");
        let check = format!("cat /sys/fs/cgroup/{group}/pids.max; creel oci delete --force box");
        assert_eq!(
            mine(&format!("cp /spec.json bundle/config.json; {set}; ({run}); {check}")),
            "20"
        );
    }
    // From elsewhere nobody gets in.
    mine(&format!("cp /spec.json bundle/config.json; {run}"));
    let refused = world.runs("", "! creel oci exec box true 2>&1");
    assert!(refused.contains("out of reach"), "{refused}");
    world.runs("", "creel oci delete --force box");
    assert_eq!(world.runs("", &format!("ls -d {group} 2>/dev/null || true")), "");
}
