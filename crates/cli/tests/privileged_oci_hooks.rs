//! Hooks of `creel oci`; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;

use oci::Bundle;
use serde_json::{Value, json};

/// All in the order in which they run.
const MOMENTS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Adds a hook that is a shell script. In the container only the root can be written to.
fn add(bundle: &Bundle, moment: &str, script: &str) {
    let hook =
        json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["A=b", "PATH=/bin"]});
    bundle.change(|spec| {
        let list = &mut spec["hooks"][moment];
        if list.is_null() {
            *list = json!([]);
        }
        list.as_array_mut().unwrap().push(hook);
    });
}

/// Notes each moment, with the state, in a file of the bundle; that in the container in the root.
fn note_all(bundle: &Bundle) {
    let log = bundle.path("log").to_str().unwrap().to_owned();
    bundle.change(|spec| spec["root"]["readonly"] = false.into());
    for moment in MOMENTS {
        let log = if moment == "startContainer" { "/log" } else { &log };
        let mount = "readlink /proc/self/ns/mnt";
        add(
            bundle,
            moment,
            &format!("(cat; echo; echo {moment} $A-$HOME $({mount}) $PWD) >> {log}"),
        );
    }
}

/// What was noted: the state, the moment, the environment, the mount namespace, the directory.
fn noted(bundle: &Bundle, file: &str) -> Vec<(Value, Vec<String>)> {
    let text = fs::read_to_string(bundle.path(file)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let one = |pair: &[&str]| {
        let words = pair[1].split(' ').map(Into::into).collect();
        (serde_json::from_str(pair[0]).unwrap(), words)
    };
    lines.chunks(2).map(one).collect()
}

fn moments(notes: &[(Value, Vec<String>)]) -> Vec<&str> {
    notes.iter().map(|(_, words)| words[0].as_str()).collect()
}

#[test]
fn privileged_hooks_run_in_order_with_the_state() {
    let bundle = Bundle::new("cat /log; sleep 60");
    let id = &bundle.id();
    note_all(&bundle);
    bundle.change(|spec| spec["annotations"] = json!({"a.b": "c"}));
    bundle.runs(&["create", id]);
    let made = noted(&bundle, "log");
    assert_eq!(moments(&made), ["prestart", "createRuntime", "createContainer"]);
    let state: Value = serde_json::from_str(&bundle.runs(&["state", id])).unwrap();
    let host = fs::read_link("/proc/self/ns/mnt").unwrap().to_str().unwrap().to_owned();
    let inside = fs::read_link(format!("/proc/{}/ns/mnt", state["pid"])).unwrap();
    for (index, (told, words)) in made.iter().enumerate() {
        assert_eq!(told["status"], "creating");
        for key in ["id", "pid", "bundle", "annotations", "ociVersion"] {
            assert_eq!(told[key], state[key], "{key}");
        }
        assert_eq!(words[1], "b-");
        let namespace = if index == 2 { inside.to_str().unwrap() } else { &host };
        assert_eq!(words[2], namespace);
        let directory = bundle.path(if index == 2 { "rootfs" } else { "" });
        assert_eq!(words[3], directory.to_str().unwrap().trim_end_matches('/'));
    }
    bundle.runs(&["start", id]);
    let [(told, words)] = &noted(&bundle, "rootfs/log")[..] else { panic!() };
    assert_eq!((&told["status"], &told["pid"]), (&json!("created"), &state["pid"]));
    assert_eq!([words[0].as_str(), &words[3]], ["startContainer", "/"]);
    assert_eq!(noted(&bundle, "log")[3].0["status"], "running");
    bundle.runs(&["delete", "--force", id]);
    let all = noted(&bundle, "log");
    assert_eq!(moments(&all)[3..], ["poststart", "poststop"]);
    assert_eq!((&all[4].0["status"], all[4].0.get("pid")), (&json!("stopped"), None));
    bundle.is_clean();
}

#[test]
fn privileged_a_hook_that_fails_ends_the_container() {
    for moment in &MOMENTS[..5] {
        let bundle = Bundle::new("echo ran");
        let id = &bundle.id();
        note_all(&bundle);
        add(&bundle, moment, "echo why >&2; exit 3");
        let said = format!("error running {moment} hook #1: exit status 3, having printed: why");
        bundle.fails(1, &["run", id], &said);
        assert_eq!(moments(&noted(&bundle, "log")).last(), Some(&"poststop"));
        bundle.is_clean();
        let at_start = ["startContainer", "poststart"].contains(moment);
        if at_start {
            bundle.runs(&["create", id]);
        }
        bundle.fails(1, &[if at_start { "start" } else { "create" }, id], &said);
        bundle.is_clean();
    }
}

#[test]
fn privileged_a_poststop_hook_that_fails_is_a_warning() {
    let bundle = Bundle::new("true");
    let id = &bundle.id();
    add(&bundle, "poststop", "exit 3");
    note_all(&bundle);
    let output = bundle.oci(&["run", id]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error running poststop hook #0"));
    // The others run all the same.
    assert_eq!(moments(&noted(&bundle, "log")).last(), Some(&"poststop"));
    bundle.is_clean();
}

#[test]
fn privileged_hooks_that_take_too_long_or_are_not_there_fail() {
    for moment in ["createRuntime", "createContainer", "startContainer"] {
        let bundle = Bundle::new("true");
        bundle.change(|spec| {
            let sleep = json!({"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1});
            spec["hooks"][moment] = json!([sleep]);
        });
        let said = format!("error running {moment} hook #0: killed because it took longer");
        bundle.fails(1, &["run", &bundle.id()], &said);
        bundle.is_clean();
        bundle.change(|spec| spec["hooks"][moment] = json!([{"path": "/nothing"}]));
        let said = format!("error running {moment} hook #0: No such file or directory");
        bundle.fails(1, &["run", &bundle.id()], &said);
        bundle.is_clean();
    }
}

/// The hook in the container is the container's program: it has no more rights than that.
#[test]
fn privileged_a_hook_in_the_container_is_confined_as_its_program() {
    let bundle = Bundle::new("true");
    bundle.change(|spec| {
        spec["root"]["readonly"] = false.into();
        spec["process"]["user"] = json!({"uid": 7, "gid": 8});
    });
    let directory = bundle.path("rootfs/all");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    add(
        &bundle,
        "startContainer",
        "(id -u; grep -h ^CapEff: /proc/self/status; ls -l /proc/self/fd) > /all/x",
    );
    bundle.runs(&["run", &bundle.id()]);
    let said = fs::read_to_string(directory.join("x")).unwrap();
    assert!(said.starts_with("7\nCapEff:\t0000000000000000\n"), "{said}");
    assert!(!said.contains("/work") && !said.contains("socket:"), "{said}");
}

#[test]
fn privileged_wrong_hooks_are_named() {
    for (hook, said) in [
        (
            json!({"path": "bin/true"}),
            "`hooks.poststart[0].path` is `bin/true`, which is not an absolute",
        ),
        (json!({"path": "/bin/true", "timeout": 0}), "`hooks.poststart[0].timeout` is `0`"),
        (json!({"path": "/bin/true", "timeout": -1}), "`hooks.poststart[0].timeout` is `-1`"),
        (json!({"path": "/bin/true", "env": ["A"]}), "`hooks.poststart[0].env[0]` is `A`"),
        (json!({}), "`hooks.poststart[0].path` is ``"),
    ] {
        let bundle = Bundle::new("true");
        bundle.change(|spec| spec["hooks"] = json!({"poststart": [hook]}));
        fs::create_dir(bundle.path("states")).unwrap();
        bundle.fails(1, &["create", &bundle.id()], said);
        bundle.is_clean();
    }
}

/// It has the environment of the program where it names none, and its filter.
#[test]
fn privileged_a_hook_of_the_start_is_confined_as_the_program() {
    let bundle = Bundle::new("true");
    bundle.change(|spec| {
        spec["process"]["env"] = json!(["PATH=/bin", "ONE=two"]);
        spec["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]});
    });
    let with = |script: &str| {
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
        bundle.change(|spec| spec["hooks"] = json!({"startContainer": hook}));
    };
    with("test $ONE = two && test $HOME = /");
    bundle.runs(&["run", &bundle.id()]);
    with("exec mkdir /dev/shm/x");
    let said = "error running startContainer hook #0: killed by signal 31 (bad system call)";
    bundle.fails(1, &["run", &bundle.id()], said);
    bundle.is_clean();
}
