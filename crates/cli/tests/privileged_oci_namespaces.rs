//! Namespaces that `creel oci` joins and makes; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;
use std::process::{Child, Command};

use oci::Bundle;
use serde_json::{Value, json};

/// A process of the host in namespaces of its own.
struct Other(Child);

impl Other {
    fn new(options: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        let child = command.args(options).args(["sleep", "300"]).spawn().unwrap();
        let other = Self(child);
        // It has them once it is another program.
        while fs::read_to_string(other.path("comm")).unwrap().trim() != "sleep" {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        other
    }

    fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0.id())
    }

    /// What the kernel calls a namespace of its.
    fn namespace(&self, file: &str) -> String {
        name(&self.path(&format!("ns/{file}")))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn name(file: &str) -> String {
    fs::read_link(file).unwrap().to_str().unwrap().to_owned()
}

/// Gives a kind of namespace a path, or takes it out of the list.
fn join(spec: &mut Value, kind: &str, path: Option<&str>) {
    let list = spec["linux"]["namespaces"].as_array_mut().unwrap();
    list.retain(|one| one["type"] != kind);
    if let Some(path) = path {
        list.push(json!({"type": kind, "path": path}));
    }
}

fn pid(bundle: &Bundle, id: &str) -> String {
    let state: Value = serde_json::from_str(&bundle.runs(&["state", id])).unwrap();
    state["pid"].to_string()
}

#[test]
fn privileged_namespaces_of_a_container_are_joined_by_another() {
    let first = Bundle::new("sleep 60");
    first.runs(&["run", "--detach", &first.id()]);
    let owner = pid(&first, &first.id());
    let second = Bundle::new("sleep 60");
    let kinds =
        [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid"), ("cgroup", "cgroup")];
    second.change(|spec| {
        for (kind, file) in kinds {
            join(spec, kind, Some(&format!("/proc/{owner}/ns/{file}")));
        }
    });
    let id = &second.id();
    second.runs(&["create", "--pid-file", "pid", id]);
    let joined = pid(&second, id);
    assert_eq!(joined, fs::read_to_string(second.path("pid")).unwrap());
    second.runs(&["start", id]);
    for (_, file) in kinds {
        let [own, other] = [&joined, &owner].map(|pid| name(&format!("/proc/{pid}/ns/{file}")));
        assert_eq!(own, other);
        let script = format!("readlink /proc/self/ns/{file}");
        assert_eq!(second.runs(&["exec", id, "sh", "-c", &script]).trim(), other);
    }
    // Its first process is one among others, whose end is not theirs.
    assert_ne!(
        second.runs(&["exec", id, "sh", "-c", "echo /proc/[0-9]*"]).matches("/proc").count(),
        1
    );
    second.runs(&["exec", "--detach", "--pid-file", "further", id, "sleep", "60"]);
    second.runs(&["delete", "--force", id]);
    let further = fs::read_to_string(second.path("further")).unwrap();
    // Whoever is its parent now may not have noticed yet.
    let stat = fs::read_to_string(format!("/proc/{further}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    second.is_clean();
    assert_eq!(first.status(), "running");
    first.runs(&["delete", "--force", &first.id()]);
    first.is_clean();
}

#[test]
fn privileged_a_joined_user_namespace_owns_what_is_new() {
    let first = Bundle::new("sleep 60");
    first.map_ids();
    first.runs(&["run", "--detach", &first.id()]);
    let owner = pid(&first, &first.id());
    let namespace = |file: &str| format!("/proc/{owner}/ns/{file}");
    let bundle = Bundle::new(
        "id -u; cat /proc/self/uid_map; readlink /proc/self/ns/net; mount -t tmpfs none /proc/bus && echo mounted",
    );
    bundle.give_away();
    bundle.change(|spec| {
        join(spec, "user", Some(&namespace("user")));
        join(spec, "network", Some(&namespace("net")));
        spec["process"]["capabilities"]["effective"] = json!(["CAP_SYS_ADMIN"]);
        spec["process"]["capabilities"]["permitted"] = json!(["CAP_SYS_ADMIN"]);
        spec["process"]["capabilities"]["bounding"] = json!(["CAP_SYS_ADMIN"]);
    });
    let id = &bundle.id();
    let said = bundle.runs(&["run", id]);
    let map: Vec<&str> = said.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(map, ["0", "500000", "65536"]);
    assert_eq!(said.lines().next(), Some("0"));
    assert_eq!(said.lines().nth(2).unwrap(), name(&namespace("net")));
    assert_eq!(said.lines().nth(3), Some("mounted"));
    bundle.change(|spec| spec["process"]["args"] = json!(["sleep", "60"]));
    bundle.runs(&["run", "--detach", id]);
    assert_eq!(
        bundle.runs(&["exec", id, "readlink", "/proc/self/ns/user"]).trim(),
        name(&namespace("user"))
    );
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
    first.runs(&["delete", "--force", &first.id()]);
    first.is_clean();
}

#[test]
fn privileged_a_new_user_namespace_goes_with_joined_ones() {
    let other = Other::new(&["--net", "--uts"]);
    let bundle =
        Bundle::new("id -u; readlink /proc/self/ns/net; readlink /proc/self/ns/uts; echo $$");
    bundle.change(|spec| {
        join(spec, "network", Some(&other.path("ns/net")));
        join(spec, "uts", Some(&other.path("ns/uts")));
        spec.as_object_mut().unwrap().remove("hostname");
    });
    bundle.map_ids();
    let said = bundle.runs(&["run", &bundle.id()]);
    let expected = format!("0\n{}\n{}\n1\n", other.namespace("net"), other.namespace("uts"));
    assert_eq!(said, expected);
    bundle.is_clean();
}

#[test]
fn privileged_a_joined_mount_namespace_keeps_its_root() {
    let other = Other::new(&["--mount", "--propagation", "private"]);
    let bundle = Bundle::new("readlink /proc/self/ns/mnt; ls /; ls -d /proc/1");
    bundle.change(|spec| join(spec, "mount", Some(&other.path("ns/mnt"))));
    let said = bundle.runs(&["run", &bundle.id()]);
    assert_eq!(said.lines().next().unwrap(), other.namespace("mnt"));
    assert!(said.contains("bin") && !said.contains("usr"), "{said}");
    assert!(fs::exists(other.path("root/usr/bin")).unwrap());
    let own = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!own.contains(bundle.path("rootfs").to_str().unwrap()));
    bundle.is_clean();
}

#[test]
fn privileged_clocks_are_shifted() {
    let bundle = Bundle::new("cat /proc/uptime; readlink /proc/self/ns/time; sleep 60");
    let id = &bundle.id();
    bundle.change(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
        spec["linux"]["timeOffsets"] =
            json!({"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 5, "nanosecs": 7}});
        spec["process"]["args"] = json!(["sleep", "60"]);
    });
    bundle.runs(&["create", id]);
    bundle.runs(&["start", id]);
    let first = pid(&bundle, id);
    let offsets = fs::read_to_string(format!("/proc/{first}/timens_offsets")).unwrap();
    let words: Vec<&str> = offsets.split_whitespace().collect();
    assert_eq!(words, ["monotonic", "5", "7", "boottime", "1000000", "0"]);
    let uptime = bundle.runs(&["exec", id, "cat", "/proc/uptime"]);
    assert!(uptime.split('.').next().unwrap().parse::<u64>().unwrap() >= 1_000_000);
    assert_ne!(name(&format!("/proc/{first}/ns/time")), name("/proc/self/ns/time"));
    bundle.runs(&["delete", "--force", id]);
    bundle.is_clean();
}

#[test]
fn privileged_wrong_namespaces_are_named() {
    let cases: [(&str, Value, &str); 9] = [
        (
            "network",
            json!({"path": "/proc/self/ns/ipc"}),
            "`/proc/self/ns/ipc`, which is not a network namespace",
        ),
        ("network", json!({"path": "/etc/passwd"}), "which is not a network namespace"),
        ("network", json!({"path": "proc/1/ns/net"}), "which is not an absolute path"),
        ("network", json!({"path": "/nothing"}), ".path`: cannot open `/nothing`"),
        (
            "mount",
            json!({"path": "/proc/self/ns/mnt"}),
            "not another mount namespace than the runtime's",
        ),
        (
            "time",
            json!({"path": "/proc/self/ns/time", "offsets": {"boottime": {"secs": 1}}}),
            "`linux.timeOffsets.boottime` needs a namespace `time`",
        ),
        (
            "time",
            json!({"offsets": {"realtime": {"secs": 1}}}),
            "`linux.timeOffsets` is `realtime`",
        ),
        (
            "time",
            json!({"offsets": {"boottime": {"nanosecs": 1_000_000_000}}}),
            "`linux.timeOffsets.boottime.nanosecs` is `1000000000`",
        ),
        (
            "network",
            json!({"path": "/proc/self/ns/net", "sysctl": {"net.ipv4.ip_forward": "1"}}),
            "`linux.sysctl[net.ipv4.ip_forward]` needs a namespace `network`",
        ),
    ];
    for (kind, what, said) in cases {
        let bundle = Bundle::new("true");
        bundle.change(|spec| {
            join(spec, kind, None);
            let mut one = json!({"type": kind});
            if let Some(path) = what.get("path") {
                one["path"] = path.clone();
            }
            spec["linux"]["namespaces"].as_array_mut().unwrap().push(one);
            for (key, property) in [("offsets", "timeOffsets"), ("sysctl", "sysctl")] {
                if let Some(value) = what.get(key) {
                    spec["linux"][property] = value.clone();
                }
            }
        });
        bundle.fails(1, &["create", &bundle.id()], said);
        bundle.is_clean();
    }
}
