//! Files are masked with the image's `/dev/null`, which is a link to a file of `/proc`: that is mounted in
//! the place, and can be written to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::oci::Bundle;
use crate::race::{Race, rounds};

const CORE: &str = "/proc/sys/kernel/core_pattern";

/// A bundle whose `/dev` somebody else fills, and what masks look like from inside.
fn shared_dev(dev: &Path) -> Bundle {
    let bundle = Bundle::new(
        "[ -c /proc/keys ] && [ -z \"$(cat /proc/keys)\" ] && ! (echo x > /proc/sys/kernel/core_pattern)",
    );
    bundle.change(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        mounts.push(json!({"destination": "/dev", "source": dev, "options": ["rbind"]}));
        spec["linux"]["maskedPaths"] = json!(["/proc/keys", "/proc/timer_list"]);
    });
    bundle
}

fn link(dev: &Path, name: &str) {
    symlink(CORE, dev.join(name)).unwrap();
}

#[test]
fn privileged_masks_are_not_the_images() {
    let (dev, before) = (tempfile::tempdir().unwrap(), fs::read(CORE).unwrap());
    link(dev.path(), "null");
    shared_dev(dev.path()).output();
    assert_eq!(fs::read(CORE).unwrap(), before);
}

#[test]
fn privileged_masks_are_not_swapped() {
    let (dev, before) = (tempfile::tempdir().unwrap(), fs::read(CORE).unwrap());
    let node = dev.path().join("null");
    let made = std::process::Command::new("mknod").arg(&node).args(["c", "1", "3"]).status();
    assert!(made.unwrap().success());
    link(dev.path(), "link");
    let bundle = shared_dev(dev.path());
    let race = Race::between(&node, &dev.path().join("link"));
    for _ in 0..rounds() {
        bundle.output();
    }
    assert!(race.end() > 100);
    assert_eq!(fs::read(CORE).unwrap(), before);
}
