//! `creel oci` as an ordinary user who may make no control groups; needs root, to become one, and a
//! static `/bin/busybox`. Repeated in a guest, which has version 2.
#![allow(clippy::unwrap_used)]

mod oci;

use std::path::Path;

use creel_testkit::guest;
use oci::Bundle;
use serde_json::{Value, json};

#[test]
fn privileged_a_user_has_containers_without_groups() {
    let bundle = Bundle::of_user("sleep 60 & exec sleep 60");
    let id = &bundle.id();
    bundle.runs(&["create", id]);
    assert_eq!(bundle.status(), "created");
    bundle.runs(&["start", id]);
    assert_eq!(bundle.runs(&["exec", id, "id", "-u"]), "0\n");
    assert_ne!(bundle.runs(&["exec", id, "cat", "/proc/self/setgroups"]), "allow\n");
    let list = bundle.runs(&["list", "-f", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list[0]["status"], &list[0]["owner"]), (&json!("running"), &json!(54_321)));
    // What groups are needed for.
    for words in [&["ps"][..], &["pause"], &["update", "--memory", "32m"]] {
        bundle.fails(1, &[words, &[id.as_str()]].concat(), "has no control group");
    }
    bundle.runs(&["kill", id, "KILL"]);
    bundle.until("stopped");
    bundle.runs(&["delete", id]);
    bundle.runs(&["run", "-d", id]);
    bundle.runs(&["delete", "--force", id]);
    bundle.script("exec id -g");
    assert_eq!(bundle.runs(&["--rootless", "auto", "run", id]), "0\n");
    assert_eq!(bundle.runs(&["--rootless=true", "run", id]), "0\n");
    bundle.is_clean();
}

#[test]
fn privileged_a_user_is_told_what_needs_a_group() {
    let bundle = Bundle::of_user("exec true");
    let id = &bundle.id();
    let words = "rootless needs no limits + no cgrouppath when no permission is granted";
    // Who insists on a group gets none either.
    bundle.fails(1, &["--rootless=false", "run", id], "permission denied");
    bundle.fails(1, &["--rootless=perhaps", "run", id], "neither `true` nor `false` nor `auto`");
    bundle.change(|spec| spec["linux"]["resources"] = json!({"pids": {"limit": 9}}));
    bundle.fails(1, &["run", id], words);
    bundle.fails(1, &["--rootless=true", "create", id], words);
    bundle.change(|spec| {
        spec["linux"]["resources"] = json!({});
        spec["linux"]["cgroupsPath"] = "/creel-test/x".into();
    });
    bundle.fails(1, &["run", id], words);
    // What is asked of nobody is not missed.
    bundle.runs(&["--cgroup-manager", "disabled", "run", id]);
    bundle.is_clean();
}

#[test]
fn privileged_a_user_needs_a_user_namespace_and_helpers_for_ids_of_others() {
    let bundle = Bundle::of_user("exec true");
    let id = &bundle.id();
    let mapped = json!([{"containerID": 0, "hostID": 54_321, "size": 1},
                        {"containerID": 1, "hostID": 100_000, "size": 10}]);
    bundle.change(|spec| spec["linux"]["uidMappings"] = mapped);
    // They know whose ids these are.
    bundle.fails(1, &["run", id], "newuidmap");
    bundle.change(|spec| {
        let linux = spec["linux"].as_object_mut().unwrap();
        linux.retain(|name, _| !name.ends_with("Mappings"));
        linux["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "user");
    });
    bundle.fails(1, &["run", id], "rootless container requires user namespaces");
    bundle.is_clean();
}

/// As engines do it that have entered a namespace before: the runtime is root, and yet is not.
#[test]
fn privileged_a_users_root_has_containers_too() {
    let bundle = Bundle::of_user("id -u; ls -l /dev/null | head -c 1; cat /dev/null && echo read");
    let id = &bundle.id();
    bundle.change(|spec| {
        let linux = spec["linux"].as_object_mut().unwrap();
        linux.retain(|name, _| !name.ends_with("Mappings"));
        linux["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "user");
    });
    let bundle = bundle.in_namespace(r#"exec "$0" "$@""#);
    assert_eq!(bundle.runs(&["run", id]), "0\ncread\n");
    bundle.script("exec sleep 60");
    // Another namespace would not be the one that the container was made from.
    let further = r#""$0" "$@" >/dev/null && "$0" oci --root "$3" exec "$6" id -u &&
                     "$0" oci --root "$3" delete --force "$6""#;
    let bundle = bundle.in_namespace(further);
    assert_eq!(bundle.runs(&["run", "-d", id]), "0\n");
    bundle.is_clean();
}

#[test]
fn guest_repeats_them_with_version_2() {
    let programs = [env!("CARGO_BIN_EXE_creel")].map(Path::new);
    guest::repeat(&["privileged_"], &programs).unwrap();
}
