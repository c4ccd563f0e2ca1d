//! What of the machine `creel oci` gives to containers or keeps from them; needs root, `ip` and a
//! static `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::path::Path;
use std::process::Command;

use oci::Bundle;
use serde_json::{Value, json};

fn ip(words: &[&str]) -> String {
    let output = Command::new("ip").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A pair of devices, which goes with either.
struct Pair([String; 2]);

impl Pair {
    fn new(bundle: &Bundle) -> Self {
        let id = bundle.id();
        let id = id.get(id.len() - 6..).unwrap();
        let pair = Self([format!("a{id}"), format!("b{id}")]);
        ip(&["link", "add", &pair.0[0], "type", "veth", "peer", "name", &pair.0[1]]);
        pair
    }

    fn is_here(&self) -> bool {
        Path::new("/sys/class/net").join(&self.0[0]).exists()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0[1]]).output();
    }
}

#[test]
fn privileged_a_network_device_goes_into_the_container() {
    let bundle = Bundle::new("sleep 60");
    let (id, pair) = (&bundle.id(), Pair::new(&bundle));
    let name = &pair.0[0];
    for address in ["192.0.2.7/24", "2001:db8::7/64"] {
        ip(&["addr", "add", address, "dev", name]);
    }
    ip(&["addr", "add", "169.254.1.1/16", "scope", "link", "dev", name]);
    ip(&["link", "set", name, "mtu", "1400", "up"]);
    bundle.change(|spec| spec["linux"]["netDevices"] = json!({name: {"name": "outer%d"}}));
    bundle.runs(&["create", id]);
    assert!(!pair.is_here());
    let state: Value = serde_json::from_str(&bundle.runs(&["state", id])).unwrap();
    let namespace = format!("--net=/proc/{}/ns/net", state["pid"]);
    let addresses = ["ip", "-o", "addr", "show", "dev", "outer0"];
    let said = Command::new("nsenter").arg(&namespace).args(addresses).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("inet 192.0.2.7/24") && said.contains("inet6 2001:db8::7/64"), "{said}");
    assert!(!said.contains("169.254"), "{said}");
    let link = ["ip", "-o", "link", "show", "dev", "outer0"];
    let said = Command::new("nsenter").arg(&namespace).args(link).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains(",UP") && said.contains("mtu 1400"), "{said}");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

#[test]
fn privileged_a_device_that_cannot_go_is_named() {
    let bundle = Bundle::new("true");
    let (id, pair) = (&bundle.id(), Pair::new(&bundle));
    let name = &pair.0[0];
    for (devices, said) in [
        (json!({"creel-none": {}}), "`linux.netDevices.creel-none`"),
        (json!({"creel-none": {}}), "could not find the device"),
        (json!({name: {"name": "lo"}}), "could not name the device"),
        (json!({name: {"name": "a/b"}}), "`linux.netDevices."),
        (json!({"a%d": {}}), "`linux.netDevices` is `a%d`"),
        (json!({name: {"name": "x"}, "lo": {"name": "x"}}), "names `x` twice"),
    ] {
        bundle.change(|spec| spec["linux"]["netDevices"] = devices);
        bundle.fails(1, &["create", id], said);
        assert!(pair.is_here());
        bundle.is_clean();
    }
    bundle.change(|spec| {
        spec["linux"]["netDevices"] = json!({name: {}});
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|one| one["type"] != "network");
    });
    bundle.fails(1, &["create", id], "`linux.netDevices` needs a namespace `network`");
    bundle.is_clean();
}

#[test]
fn privileged_classes_of_caches_need_their_file_system() {
    let bundle = Bundle::new("true");
    bundle.change(|spec| spec["linux"]["intelRdt"] = json!({"closID": "a/b"}));
    bundle.fails(1, &["create", &bundle.id()], "`linux.intelRdt.closID` is `a/b`");
    bundle.change(|spec| spec["linux"]["intelRdt"] = json!({"schemata": ["MB"]}));
    bundle.fails(1, &["create", &bundle.id()], "`linux.intelRdt.schemata[0]` is `MB`");
    if std::fs::read_to_string("/proc/filesystems").unwrap().contains("resctrl") {
        return;
    }
    bundle.change(|spec| spec["linux"]["intelRdt"] = json!({"closID": "a"}));
    bundle.fails(1, &["create", &bundle.id()], "no file system `resctrl` is mounted");
    bundle.is_clean();
}

#[test]
fn privileged_landlock_is_laid_on_programs_that_ask_for_it() {
    let bundle = Bundle::new("cat /etc/open; cat /etc/shut; sleep 60");
    let id = &bundle.id();
    std::fs::create_dir(bundle.path("rootfs/etc")).unwrap();
    for name in ["open", "shut"] {
        std::fs::write(bundle.path("rootfs/etc").join(name), format!("{name}\n")).unwrap();
    }
    let script = "cat /etc/open /etc/shut; true";
    bundle.script(script);
    assert_eq!(bundle.output(), "open\nshut\n");
    let policy = json!({
        "handledAccessFs": ["execute", "read_file", "write_file"],
        "pathBeneath": [
            {"paths": ["/bin", "/etc/open"], "allowedAccess": ["read"]},
            {"paths": ["/none"], "allowedAccess": ["read"], "optional": true},
        ],
    });
    bundle.change(|spec| spec["annotations"] = json!({"dev.creel.landlock": policy.to_string()}));
    assert_eq!(bundle.output(), "open\n");
    // Others that come into the container too.
    bundle.script("sleep 60");
    bundle.runs(&["run", "--detach", id]);
    assert_eq!(bundle.runs(&["exec", id, "sh", "-c", script]), "open\n");
    bundle.runs(&["delete", "--force", id]);
    bundle.change(|spec| spec["annotations"] = json!({"dev.creel.landlock": "{\"scoped\": [1]}"}));
    bundle.fails(1, &["run", id], "`annotations[dev.creel.landlock]` is not what it must be");
    bundle.is_clean();
}

#[test]
fn privileged_what_is_implemented_is_told() {
    let bundle = Bundle::new("true");
    let features: Value = serde_json::from_str(&bundle.runs(&["features"])).unwrap();
    assert_eq!(features["ociVersionMax"], "1.3.0");
    assert!(features["mountOptions"].as_array().unwrap().contains(&json!("rro")));
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
    let flags = features["linux"]["seccomp"]["supportedFlags"].as_array().unwrap();
    assert!(flags.contains(&json!("SECCOMP_FILTER_FLAG_TSYNC")));
}

#[test]
fn privileged_what_a_container_uses_is_told() {
    let bundle = Bundle::new("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 60");
    let id = &bundle.id();
    bundle.fails(1, &["events", "--stats", id], "does not exist");
    bundle.change(|spec| {
        spec["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
        spec["linux"]["resources"]["pids"] = json!({"limit": 9});
    });
    bundle.runs(&["run", "--detach", id]);
    let line: Value = serde_json::from_str(&bundle.runs(&["events", "--stats", id])).unwrap();
    assert_eq!((&line["type"], &line["id"]), (&json!("stats"), &json!(id)));
    let data = &line["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0);
    assert_eq!((&data["pids"]["current"], &data["pids"]["limit"]), (&json!(1), &json!(9)));
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0);
    assert_eq!(data["network_interfaces"][0]["Name"], "lo");
    bundle.runs(&["kill", id, "KILL"]);
    bundle.until("stopped");
    bundle.fails(1, &["events", id], "container not running");
    bundle.runs(&["delete", id]);
    bundle.is_clean();
}

#[test]
fn privileged_running_out_of_memory_is_told() {
    // Each takes more than the container may have.
    let script = "sleep 1; head -c 100000000 /dev/zero | tail -c 90000000 >/dev/null; sleep 1";
    let bundle = Bundle::new(script);
    let id = &bundle.id();
    bundle.change(|spec| {
        spec["linux"]["resources"]["memory"] = json!({"limit": 16 << 20, "swap": 16 << 20});
    });
    bundle.runs(&["run", "--detach", id]);
    let told = bundle.runs(&["events", "--interval", "100ms", id]);
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert!(count("oom") > 0);
    assert!(count("stats") > 2 && count("stats") + count("oom") == lines.len());
    bundle.until("stopped");
    bundle.runs(&["delete", id]);
    bundle.is_clean();
}

#[test]
fn privileged_several_containers_are_deleted_at_once() {
    let bundle = Bundle::new("sleep 60");
    let (id, second) = (&bundle.id(), &format!("{}b", bundle.id()));
    bundle.runs(&["run", "--detach", id]);
    bundle.change(|spec| {
        let path = spec["linux"]["cgroupsPath"].as_str().unwrap().to_owned();
        spec["linux"]["cgroupsPath"] = format!("{path}b").into();
    });
    bundle.runs(&["run", "--detach", second]);
    bundle.runs(&["delete", "--force", id, second, "none"]);
    bundle.is_clean();
}

/// A program that stands in for CRIU: it notes its arguments and what it would restore sleeps.
fn stand_in(bundle: &Bundle) -> String {
    let path = bundle.path("criu");
    let script = "#!/bin/sh\necho \"$@\" >> noted\nwhile [ $# -gt 1 ]; do\n\
        [ \"$1\" = --pidfile ] && { sleep 60 </dev/null >/dev/null 2>&1 & echo $! > \"$2\"; }\n\
        shift\ndone\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn privileged_checkpoints_are_made_as_asked_for() {
    let bundle = Bundle::new("sleep 60");
    let (id, criu) = (&bundle.id(), &stand_in(&bundle));
    bundle.runs(&["run", "--detach", id]);
    bundle.fails(1, &["--criu", "/none", "checkpoint", id], "cannot execute `/none`");
    let noted = || {
        let text = std::fs::read_to_string(bundle.path("noted")).unwrap();
        std::fs::remove_file(bundle.path("noted")).unwrap();
        text
    };
    bundle.runs(&["--criu", criu, "checkpoint", "--pre-dump", "--image-path", "one", id]);
    let said = noted();
    assert!(
        said.starts_with("pre-dump -D one -W one -o pre-dump.log") && said.contains("--track-mem")
    );
    assert!(said.contains("--external mnt[/proc/keys]:/proc/keys"), "{said}");
    let options =
        ["--tcp-established", "--ext-unix-sk", "--file-locks", "--shell-job", "--auto-dedup"];
    let values =
        ["--manage-cgroups-mode", "full", "--parent-path", "../one", "--work-path", "work"];
    let server = ["--page-server", "10.0.0.1:27", "--status-fd", "2", "--empty-ns", "network"];
    let start = ["--criu", criu, "checkpoint", "--leave-running", "--image-path", "two"];
    bundle.runs(&[&start[..], &options, &values, &server, &[id]].concat());
    let said = noted();
    for words in [
        "dump -D two -W work -o dump.log",
        "--leave-running",
        "--tcp-established --ext-unix-sk --shell-job --file-locks --auto-dedup",
        "--manage-cgroups=full --empty-ns net --prev-images-dir ../one",
        "--page-server --status-fd 2 --address 10.0.0.1 --port 27",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(bundle.status(), "running");
    bundle.runs(&["--criu", criu, "checkpoint", "--image-path", "two", id]);
    noted();
    bundle.is_clean();
    let restore = ["--criu", criu, "restore", "-no-subreaper", "--image-path", "two", "--detach"];
    bundle
        .runs(&[&restore[..], &["--pid-file", "pid", "--lsm-profile", "apparmor:x", id]].concat());
    let said = noted();
    assert!(said.contains("--restore-detached --restore-sibling --pidfile"), "{said}");
    assert!(said.contains("--external mnt[/proc/keys]:/dev/null"), "{said}");
    assert!(said.contains("--lsm-profile apparmor:x"), "{said}");
    assert_eq!(bundle.status(), "running");
    bundle.fails(1, &["--criu", "/none", "restore", "--image-path", "two", "x"], "cannot execute");
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
    bundle.change(|spec| spec["process"]["terminal"] = true.into());
    bundle.fails(1, &["restore", "--image-path", "two", id], "with a terminal cannot be");
}
