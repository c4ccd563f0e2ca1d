//! Specifications that are written on the host for containers in a guest.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// One that sleeps, without a terminal, and with what a guest's version 2 of control groups needs.
pub(crate) fn specification() -> Value {
    let directory = tempfile::tempdir().unwrap();
    let creel = Command::new(env!("CARGO_BIN_EXE_creel"))
        .args(["oci", "spec", "-b"])
        .arg(directory.path())
        .status();
    assert!(creel.unwrap().success());
    let text = fs::read(directory.path().join("config.json")).unwrap();
    let mut spec: Value = serde_json::from_slice(&text).unwrap();
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!(["sleep", "600"]);
    // On a host with version 1 it is not asked for.
    let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "cgroup");
    namespaces.push(json!({"type": "cgroup"}));
    spec
}

/// Maps the guest's user to root, and nobody else.
pub(crate) fn map_user(spec: &mut Value) {
    let linux = &mut spec["linux"];
    linux["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    linux["gidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    // The group of terminals has no id there.
    for mount in spec["mounts"].as_array_mut().unwrap() {
        if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
            options.retain(|option| option != "gid=5");
        }
    }
}
