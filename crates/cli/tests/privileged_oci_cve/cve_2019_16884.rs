//! A volume at `/proc` of the image's own making swallows what is written there, such as labels.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::oci::Bundle;

#[test]
fn privileged_nothing_but_processes_is_mounted_on_proc() {
    let bundle = Bundle::new("true");
    fs::create_dir_all(bundle.path("fake/self/attr")).unwrap();
    for (destination, source, options) in [
        ("/proc", "fake", &["rbind"][..]),
        ("//proc/.", "fake", &["bind"]),
        ("/proc/self/attr", "fake", &["bind"]),
        ("/proc", "tmpfs", &[]),
    ] {
        let bundle = Bundle::new("true");
        fs::create_dir_all(bundle.path("fake/self/attr")).unwrap();
        bundle.mount(json!({"destination": destination, "type": "tmpfs", "source": source,
            "options": options}));
        let id = bundle.id();
        let output = bundle.oci(&["run", &id]);
        assert_eq!(output.status.code(), Some(1), "{destination} {options:?}");
        bundle.is_clean();
    }
    // Another view of the same processes may be there.
    bundle.mount(json!({"destination": "/proc", "source": "/proc", "options": ["rbind"]}));
    bundle.output();
}

/// By a link the volume comes over the real one, where nothing of creel's writes.
#[test]
fn privileged_what_is_written_does_not_go_to_the_images() {
    let bundle = Bundle::new("true");
    let fake = bundle.path("fake");
    fs::create_dir_all(fake.join("sys/net/ipv4")).unwrap();
    fs::write(fake.join("sys/net/ipv4/ip_forward"), "fake").unwrap();
    symlink("/proc", bundle.path("rootfs/link")).unwrap();
    bundle.mount(json!({"destination": "/link", "source": fake, "options": ["rbind"]}));
    bundle.change(|spec| spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"}));
    bundle.runs(&["run", &bundle.id()]);
    assert_eq!(fs::read_to_string(fake.join("sys/net/ipv4/ip_forward")).unwrap(), "fake");
}
