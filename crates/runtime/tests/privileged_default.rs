//! The default container, run; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{code, options, root, spec};

#[test]
fn privileged_default_container_is_complete() {
    let root = root();
    for script in [
        "grep -q 'CapEff:.00000000800405fb' /proc/self/status && grep -q 'Seccomp:.2' /proc/1/status",
        "grep -q 'CapInh:.0000000000000000' /proc/self/status",
        "[ $$ = 1 ] && [ -c /dev/ptmx ] && [ -d /dev/mqueue ] && echo x > /dev/null",
        "[ $(stat -c %a /dev/shm) = 1777 ] && [ \"$(readlink /dev/core)\" = /proc/kcore ]",
        "! touch /sys/x 2>/dev/null && ! echo 1 2>/dev/null >/proc/sys/kernel/shmmax",
        "[ -z \"$(cat /proc/keys)\" ] && [ -z \"$(ls /sys/firmware)\" ]",
        "! unshare -m true 2>/dev/null && ! dmesg 2>/dev/null",
        "grep -q ' / .*nodev' /proc/self/mounts",
    ] {
        assert_eq!(code(&spec(script), &options(&root)), 0, "{script}");
    }
}
