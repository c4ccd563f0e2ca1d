//! What a runtime makes in the root of an image goes through a link there, to the host.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::oci::Bundle;

#[test]
fn privileged_what_is_made_in_the_root_stays_there() {
    let host = tempfile::tempdir().unwrap();
    let bundle = Bundle::new("pwd");
    let root = bundle.path("rootfs");
    symlink(host.path(), root.join("absolute")).unwrap();
    symlink(format!("../../../../../..{}", host.path().display()), root.join("relative")).unwrap();
    symlink("/proc/self/root/../../..", root.join("magic")).unwrap();
    for name in ["absolute", "relative", "magic"] {
        bundle.change(|spec| {
            spec["process"]["cwd"] = format!("/{name}/cwd").into();
            spec["linux"]["devices"] = json!([
                {"type": "c", "path": format!("/{name}/devices/null"), "major": 1, "minor": 3},
            ]);
            spec["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "none");
        });
        bundle.mount(json!({"destination": format!("/{name}/memory"), "type": "tmpfs"}));
        let _ = bundle.oci(&["run", &bundle.id()]);
        assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0, "{name}");
        assert!(
            !std::path::Path::new("/cwd").exists() && !std::path::Path::new("/devices").exists()
        );
    }
    bundle.is_clean();
}
