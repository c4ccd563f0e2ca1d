//! The kernel executes a program of the container's when a control group of version 1 becomes empty.

use crate::oci::Bundle;

#[test]
fn privileged_no_release_agent_is_in_reach() {
    let bundle = Bundle::new(
        "find /sys/fs/cgroup -name release_agent | grep -q . && echo found; mkdir /tmp/c; \
         mount -t cgroup -o rdma c /tmp/c && echo mounted; \
         echo 1 > /sys/fs/cgroup/memory/notify_on_release && echo written; \
         mkdir /sys/fs/cgroup/memory/x && echo made; true",
    );
    std::fs::create_dir(bundle.path("rootfs/tmp")).unwrap();
    assert_eq!(bundle.output(), "");
}

/// What is looked for is there on the host, if it has that version.
#[test]
fn privileged_control_the_host_has_one() {
    let v1 = std::path::Path::new("/sys/fs/cgroup/memory");
    assert!(!v1.exists() || v1.join("release_agent").exists());
}
