//! What `creel oci create` leaves where it fails: nothing. Needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;
use std::time::{Duration, Instant};

use oci::Bundle;
use serde_json::{Value, json};

/// Processes that a bundle's name is in the command line of: what a child has before it executes.
fn processes(bundle: &Bundle) -> usize {
    let id = bundle.id();
    let named = |path: std::path::PathBuf| {
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&id)
    };
    fs::read_dir("/proc").unwrap().filter(|entry| named(entry.as_ref().unwrap().path())).count()
}

fn mounts(bundle: &Bundle) -> usize {
    let place = bundle.path("").display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().filter(|line| line.contains(&place)).count()
}

/// Nothing is there: no directory, group, mount or process.
fn is_spotless(bundle: &Bundle) {
    bundle.is_clean();
    assert_eq!(mounts(bundle), 0);
    let deadline = Instant::now() + Duration::from_secs(5);
    while processes(bundle) > 0 {
        assert!(Instant::now() < deadline, "a process remains");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Much of what a container can have.
fn rich() -> Bundle {
    let bundle = Bundle::new("true");
    fs::write(bundle.path("file"), "").unwrap();
    bundle.change(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        let file = bundle.path("file");
        mounts
            .push(json!({"destination": "/made/here", "source": file, "options": ["bind", "ro"]}));
        let options = ["tmpcopyup", "ro"];
        mounts.push(json!({"destination": "/bin", "type": "tmpfs", "options": options}));
        spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
        spec["linux"]["devices"] =
            json!([{"type": "c", "path": "/dev/net/tun", "major": 10, "minor": 200}]);
        spec["linux"]["rootfsPropagation"] = "rslave".into();
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        spec["domainname"] = "domain".into();
    });
    bundle
}

#[test]
fn privileged_a_failure_of_any_step_leaves_nothing() {
    let bundle = rich();
    let id = &bundle.id();
    for (command, words) in [("create", &["create", id][..]), ("run", &["run", id])] {
        let mut failed = 0;
        loop {
            let mut process = bundle.command(words);
            process.env("CREEL_TEST_FAULT", failed.to_string());
            let error = fs::File::create(bundle.path("err")).unwrap();
            process.stdout(std::process::Stdio::null()).stderr(error);
            if process.status().unwrap().success() {
                break;
            }
            let error = fs::read_to_string(bundle.path("err")).unwrap();
            assert!(error.contains("Input/output error"), "step {failed}: {error}");
            is_spotless(&bundle);
            failed += 1;
        }
        // Steps that follow the wait of `create` fail in `start`.
        assert!(failed > 60, "{command}: only {failed} steps failed");
        bundle.runs(&["delete", "--force", id]);
        is_spotless(&bundle);
    }
}

#[test]
fn privileged_what_cannot_be_made_leaves_nothing() {
    type Change = fn(&mut Value);
    let cases: [(&[&str], Change, &str); 12] = [
        (&["--pid-file", "no/such/directory"], |_| {}, "no/such"),
        (&["--console-socket", "none"], |spec| spec["process"]["terminal"] = true.into(), "none"),
        (&[], |spec| spec["root"]["path"] = "none".into(), "none"),
        (&[], |spec| spec["root"] = Value::Null, "`root.path` is missing"),
        (&[], |spec| spec["process"]["cwd"] = "/bin/sh".into(), "enter `/bin/sh`"),
        (&[], |spec| spec["process"]["args"] = json!(["none"]), "`none`"),
        (&[], |spec| spec["linux"]["cgroupsPath"] = "/a/../../b".into(), "a/../../b"),
        (&[], |spec| spec["hostname"] = "x".repeat(65).into(), "`hostname`"),
        (&[], |spec| spec["linux"]["sysctl"] = json!({"net.none": "1"}), "net/none"),
        (&[], |spec| spec["mounts"][1]["type"] = "nonesuch".into(), "/dev"),
        (&[], |spec| spec["mounts"][1]["source"] = "/none".into(), ""),
        (&[], |spec| spec["linux"]["resources"] = json!({"pids": {"limit": -5}}), "pids.limit"),
    ];
    for (number, (words, change, said)) in cases.into_iter().enumerate() {
        let bundle = rich();
        bundle.change(change);
        if number == 10 {
            bundle.change(|spec| spec["mounts"][1]["options"] = json!(["rbind"]));
        }
        for command in ["create", "run"] {
            let id = &bundle.id();
            bundle.fails(1, &[&[command], words, &[id]].concat(), said);
            is_spotless(&bundle);
        }
    }
}

#[test]
fn privileged_a_full_disk_leaves_nothing() {
    let bundle = rich();
    let states = bundle.path("states");
    fs::create_dir(&states).unwrap();
    let mount = |words: &[&str]| {
        let done = std::process::Command::new("mount").args(words).arg(&states).status();
        assert!(done.unwrap().success());
    };
    // Room for the directory and the socket, but not for what is known of the container.
    bundle.change(|spec| spec["annotations"] = json!({"long": "x".repeat(10_000)}));
    mount(&["-t", "tmpfs", "-o", "size=4k,mode=700", "none"]);
    let output = bundle.oci(&["create", &bundle.id()]);
    let left = fs::read_dir(&states).unwrap().count();
    assert!(std::process::Command::new("umount").arg(&states).status().unwrap().success());
    assert!(!output.status.success());
    assert_eq!((left, processes(&bundle)), (0, 0), "{output:?}");
    is_spotless(&bundle);
}

#[test]
fn privileged_wrong_documents_are_told_by_their_properties() {
    let bundle = Bundle::new("true");
    let id = &bundle.id();
    for (change, said) in [
        (json!({"process": {"args": [1]}}), "`process.args[0]` in"),
        (json!({"linux": {"namespaces": [{"type": "x"}]}}), "`linux.namespaces[0].type` in"),
        (json!({"mounts": {"a": 1}}), "`mounts` in"),
        (json!({"linux": {"resources": {"memory": {"limit": 1.5}}}}), "resources.memory.limit` in"),
    ] {
        fs::write(bundle.path("other.json"), change.to_string()).unwrap();
        bundle.fails(1, &["create", "--config", "other.json", id], said);
    }
    for start in ["[", "{\"none\":", "{\"process\":{\"none\":"] {
        fs::write(bundle.path("other.json"), format!("{start}{}", "[".repeat(100_000))).unwrap();
        bundle.fails(1, &["create", "--config", "other.json", id], "is not as it should be");
    }
    fs::File::create(bundle.path("other.json")).unwrap().set_len(17 << 20).unwrap();
    bundle.fails(1, &["create", "--config", "other.json", id], "other.json");
    bundle.is_clean();
}

#[test]
fn privileged_what_is_no_file_is_no_specification() {
    let bundle = Bundle::new("true");
    let (path, id) = (bundle.path("config.json"), &bundle.id());
    fs::remove_file(&path).unwrap();
    // A writer that never comes, and one that never ends.
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    bundle.fails(1, &["run", id], "config.json");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    bundle.fails(1, &["run", id], "config.json");
}

#[test]
fn privileged_large_specifications_are_taken_and_larger_ones_refused() {
    let bundle = Bundle::new("grep -c ' /many/' /proc/mounts; [ \"$LONG\" ]");
    let many = |count: usize| -> Vec<Value> {
        let place = |number| format!("/many/{}/{number}", number % 7);
        let mount = |number| json!({"destination": place(number), "source": "/dev/null", "options": ["bind"]});
        (0..count).map(mount).collect()
    };
    bundle.change(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.extend(many(3000));
        let annotation = "x".repeat(4 << 20);
        spec["annotations"] = json!({"large": annotation});
        let environment = spec["process"]["env"].as_array_mut().unwrap();
        environment.push(format!("LONG={}", "y".repeat(100_000)).into());
    });
    assert_eq!(bundle.output(), "3000\n");
    // In a user namespace each is cloned before the container's root is that of the process.
    bundle.map_ids();
    assert_eq!(bundle.output(), "3000\n");
    bundle.change(|spec| spec["mounts"] = many(40_000).into());
    bundle.fails(1, &["create", &bundle.id()], "`mounts` is `40");
    is_spotless(&bundle);
}

#[test]
fn privileged_links_that_lead_nowhere_end() {
    let bundle = Bundle::new("true");
    let root = bundle.path("rootfs");
    for number in 0..200 {
        let next = format!("/l{}/x", number + 1);
        std::os::unix::fs::symlink(next, root.join(format!("l{number}"))).unwrap();
    }
    std::os::unix::fs::symlink("/loop", root.join("loop")).unwrap();
    let id = &bundle.id();
    for place in ["/l0/y", "/loop/y", "/loop"] {
        let mount = json!({"destination": place, "type": "tmpfs"});
        bundle.change(|spec| spec["mounts"] = json!([mount]));
        bundle.fails(1, &["run", id], "Too many levels of symbolic links");
    }
    // As long as paths can be, and longer.
    for (length, said) in [(200, ""), (3000, "File name too long")] {
        let mount = json!({"destination": "/d".repeat(length), "type": "tmpfs"});
        bundle.change(|spec| spec["mounts"] = json!([mount]));
        match said {
            "" => drop(bundle.output()),
            said => bundle.fails(1, &["run", id], said),
        }
    }
    is_spotless(&bundle);
}
