//! `/dev` of the image is a link: nodes are made on the host. Also CVE-2026-47766.

use std::fs;
use std::os::unix::fs::symlink;

use crate::oci::Bundle;

#[test]
fn privileged_a_link_for_dev_is_refused() {
    let host = tempfile::tempdir().unwrap();
    let outside = format!("../../../../../..{}", host.path().display());
    for mounted in [true, false] {
        for target in ["/elsewhere", &outside, host.path().to_str().unwrap()] {
            let bundle = Bundle::new("true");
            fs::create_dir(bundle.path("rootfs/elsewhere")).unwrap();
            symlink(target, bundle.path("rootfs/dev")).unwrap();
            bundle.change(|spec| {
                let mounts = spec["mounts"].as_array_mut().unwrap();
                let in_dev =
                    |place: &str| place.starts_with("/dev/") || !mounted && place == "/dev";
                mounts.retain(|mount| !in_dev(mount["destination"].as_str().unwrap()));
            });
            bundle.fails(1, &["run", &bundle.id()], "could not open `/dev`");
            assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0);
            bundle.is_clean();
        }
    }
}
