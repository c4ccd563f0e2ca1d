//! The default container, run; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::symlink;

use creel_runtime::defaults;
use creel_runtime::lower::{Options, lower};
use creel_runtime::seccomp::Filter;
use creel_spawn::Root;

#[test]
fn privileged_default_container_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    fs::copy("/bin/busybox", dir.path().join("bin/busybox")).unwrap();
    for name in ["sh", "cat", "grep", "ls", "readlink", "stat", "touch", "unshare", "dmesg"] {
        symlink("busybox", dir.path().join("bin").join(name)).unwrap();
    }
    for script in [
        "grep -q 'CapEff:.00000000800405fb' /proc/self/status && grep -q 'Seccomp:.2' /proc/1/status",
        "grep -q 'CapInh:.0000000000000000' /proc/self/status",
        "[ $$ = 1 ] && [ -c /dev/ptmx ] && [ -d /dev/mqueue ] && echo x > /dev/null",
        "[ $(stat -c %a /dev/shm) = 1777 ] && [ \"$(readlink /dev/core)\" = /proc/kcore ]",
        "! touch /sys/x 2>/dev/null && ! echo 1 2>/dev/null >/proc/sys/kernel/shmmax",
        "[ -z \"$(cat /proc/keys)\" ] && [ -z \"$(ls /sys/firmware)\" ]",
        "! unshare -m true 2>/dev/null && ! dmesg 2>/dev/null",
        "grep -q ' / / .*nodev' /proc/self/mountinfo || grep -q ' / .*nodev' /proc/self/mounts",
    ] {
        let mut spec = defaults::spec();
        let process = spec.process.as_mut().unwrap();
        process.args = ["sh", "-c", script].map(String::from).to_vec();
        process.env = vec!["PATH=/bin".into()];
        let root = Some(Root::directory(dir.path()));
        let options = Options { root, seccomp: Filter::Default, ..Options::default() };
        let plan = lower(&spec, &options).unwrap();
        let child = plan.spawn().unwrap_or_else(|error| {
            panic!("{error}: {:?}", std::error::Error::source(&error));
        });
        assert_eq!(child.wait().unwrap(), 0, "{script}");
    }
}
