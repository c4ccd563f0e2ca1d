//! Mounts, devices and paths of `creel oci`; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used)]

mod oci;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::process::Command;

use oci::{Bundle, MOUNT_CALLS};
use serde_json::{Value, json};

/// The options of a mount in `/proc/self/mountinfo`.
fn attributes(target: &str) -> String {
    format!("grep ' {target} ' /proc/self/mountinfo | tail -n 1 | sed 's/^[^/]*[^ ]* [^ ]* //'; ")
}

fn bind(source: &std::path::Path, target: &str, options: &[&str]) -> Value {
    json!({"destination": target, "type": "none", "source": source, "options": options})
}

fn memory(target: &str, options: &[&str]) -> Value {
    json!({"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options})
}

#[test]
fn privileged_mount_options_are_what_the_kernel_says() {
    let bundle = Bundle::new("");
    let mut script = String::new();
    let mut expected = Vec::new();
    fs::create_dir(bundle.path("data")).unwrap();
    for (number, (options, words)) in [
        (&["rbind", "ro", "nosuid"][..], "ro,nosuid,relatime"),
        (&["bind", "noatime", "relatime", "nodev"], "rw,nodev,relatime"),
        (&["bind", "strictatime", "noexec"], "rw,noexec"),
        (&["bind", "noatime", "nodiratime", "nosymfollow"], "rw,noatime,nodiratime,nosymfollow"),
    ]
    .into_iter()
    .enumerate()
    {
        bundle.mount(bind(&bundle.path("data"), &format!("/m{number}"), options));
        script.push_str(&attributes(&format!("/m{number}")));
        expected.push(words);
    }
    bundle.script(&script);
    let output = bundle.output();
    for (line, words) in output.lines().zip(&expected) {
        assert_eq!(line.split(' ').next().unwrap(), *words, "{line}");
    }
    assert_eq!(output.lines().count(), expected.len(), "{output}");
}

#[test]
fn privileged_recursive_options_reach_what_is_mounted_below() {
    let bundle = Bundle::new("");
    let below = bundle.path("data/below");
    fs::create_dir_all(&below).unwrap();
    let mount = |words: &[&str]| Command::new("mount").args(words).arg(&below).status().unwrap();
    assert!(mount(&["-t", "tmpfs", "none"]).success());
    for (number, options) in
        [&["rbind", "ro"][..], &["rbind", "rro", "rnosuid", "rnoatime"]].into_iter().enumerate()
    {
        bundle.mount(bind(&bundle.path("data"), &format!("/m{number}"), options));
    }
    bundle.script(
        "touch /m0/below/x && ! touch /m0/x && ! touch /m1/x && ! touch /m1/below/y \
        && grep ' /m1/below ' /proc/self/mountinfo | grep -q ro,nosuid,noatime",
    );
    let output = bundle.oci(&["run", &bundle.id()]);
    assert!(Command::new("umount").arg(&below).status().unwrap().success());
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn privileged_missing_targets_are_made_inside() {
    let bundle = Bundle::new("cat /a/b/c /etc/resolv.conf /deep/x && [ -d /relative/place ]");
    let host = tempfile::tempdir().unwrap();
    fs::write(bundle.path("file"), "text").unwrap();
    fs::create_dir(bundle.path("rootfs/etc")).unwrap();
    symlink("../run/resolve/stub.conf", bundle.path("rootfs/etc/resolv.conf")).unwrap();
    symlink(host.path(), bundle.path("rootfs/deep")).unwrap();
    for target in ["/a/b/c", "/etc/resolv.conf", "/deep/x"] {
        bundle.mount(bind(&bundle.path("file"), target, &["bind"]));
    }
    bundle.mount(memory("relative/place", &[]));
    assert_eq!(bundle.output(), "texttexttext");
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0);
    assert!(bundle.path("rootfs/run/resolve/stub.conf").exists());
}

#[test]
fn privileged_a_file_system_in_memory_takes_mode_and_contents() {
    let bundle = Bundle::new("");
    let etc = bundle.path("rootfs/etc");
    fs::create_dir_all(etc.join("sub/deeper")).unwrap();
    fs::write(etc.join("sub/file"), vec![b'x'; 300_000]).unwrap();
    symlink("sub/file", etc.join("link")).unwrap();
    symlink("/etc/shadow", etc.join("sub/out")).unwrap();
    fs::set_permissions(etc.join("sub"), fs::Permissions::from_mode(0o2751)).unwrap();
    chown(etc.join("sub"), Some(5), Some(6)).unwrap();
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o710)).unwrap();
    bundle.mount(memory("/etc", &["tmpcopyup", "ro", "nodev"]));
    bundle.mount(memory("/new", &[]));
    bundle.mount(memory("/given", &["mode=0410"]));
    bundle.mount(memory("/outer", &["ro"]));
    bundle.mount(memory("/outer/inner/place", &[]));
    bundle.script(
        "stat -c '%a %u %g' /etc /etc/sub /new /given; wc -c < /etc/link; \
        readlink /etc/sub/out; [ -d /etc/sub/deeper ] && ! touch /etc/x && ! touch /outer/x \
        && touch /outer/inner/place/x",
    );
    let expected = "710 0 0\n2751 5 6\n1777 0 0\n410 0 0\n300000\n/etc/shadow\n";
    assert_eq!(bundle.output(), expected);
}

#[test]
fn privileged_devices_are_made_as_asked_for() {
    let bundle = Bundle::new("");
    bundle.empower();
    bundle.change(|spec| {
        spec["root"]["readonly"] = false.into();
        spec["linux"]["devices"] = json!([
            {"type": "c", "path": "/dev/zero", "major": 1, "minor": 5, "fileMode": 0o600},
            {"type": "u", "path": "/dev/sub/full", "major": 1, "minor": 7, "uid": 5, "gid": 6},
            {"type": "b", "path": "/dev/block", "major": 7, "minor": 200},
            {"type": "p", "path": "/dev/pipe", "fileMode": 0o640},
            {"type": "c", "path": "/elsewhere/null", "major": 1, "minor": 3},
        ]);
    });
    bundle.script(
        "stat -c '%F %t:%T %a %u:%g' /dev/zero /dev/sub/full /dev/block /dev/pipe \
        /elsewhere/null /dev/null; readlink /dev/fd; readlink /dev/ptmx; head -c 3 /dev/zero | wc -c; \
        echo > /elsewhere/null",
    );
    let expected = "character special file 1:5 600 0:0\ncharacter special file 1:7 666 5:6\n\
        block special file 7:c8 666 0:0\nfifo 0:0 640 0:0\ncharacter special file 1:3 666 0:0\n\
        character special file 1:3 666 0:0\n/proc/self/fd\npts/ptmx\n3\n";
    assert_eq!(bundle.output(), expected);
}

#[test]
fn privileged_a_device_that_is_there_stays_and_another_one_is_refused() {
    let bundle = Bundle::new("stat -c '%a %u' /dev/null");
    bundle.change(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    });
    let dev = bundle.path("rootfs/dev");
    fs::create_dir(&dev).unwrap();
    let made =
        Command::new("mknod").arg(dev.join("null")).args(["c", "1", "3", "-m", "640"]).status();
    assert!(made.unwrap().success());
    chown(dev.join("null"), Some(7), None).unwrap();
    assert_eq!(bundle.output(), "640 7\n");
    fs::remove_file(dev.join("null")).unwrap();
    fs::write(dev.join("null"), "").unwrap();
    bundle.fails(1, &["run", &bundle.id()], "could not make the device `/dev/null`");
    bundle.is_clean();
}

#[test]
fn privileged_ids_of_a_mount_are_mapped() {
    let bundle = Bundle::new("stat -c %u:%g /mapped/file /plain/file /container/file");
    fs::create_dir(bundle.path("data")).unwrap();
    fs::write(bundle.path("data/file"), "").unwrap();
    chown(bundle.path("data/file"), Some(3), Some(4)).unwrap();
    let data = bundle.path("data");
    let mut mapped = bind(&data, "/mapped", &["rbind", "ridmap", "rro"]);
    mapped["uidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    mapped["gidMappings"] = json!([{"containerID": 4, "hostID": 2000, "size": 1}]);
    bundle.mount(mapped);
    bundle.mount(bind(&data, "/plain", &["bind"]));
    bundle.script("stat -c %u:%g /mapped/file /plain/file; ! touch /mapped/file");
    assert_eq!(bundle.output(), "1003:2000\n3:4\n");
    // With a user namespace, its own map makes the files the container's.
    bundle.change(|spec| {
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != "/mapped");
    });
    bundle.map_ids();
    bundle.mount(bind(&data, "/container", &["bind", "idmap"]));
    bundle.script("stat -c %u:%g /plain/file /container/file; touch /container/new");
    assert_eq!(bundle.output(), "65534:65534\n3:4\n");
    assert_eq!(fs::metadata(data.join("new")).unwrap().uid(), 0);
}

/// As containers of a pod: they join its namespaces, which own each other.
#[test]
fn privileged_joined_namespaces_count_for_mounts() {
    let pod = Bundle::new("sleep 60");
    pod.map_ids();
    pod.runs(&["run", "--detach", "--pid-file", "pid", &pod.id()]);
    let pid = fs::read_to_string(pod.path("pid")).unwrap();
    let bundle = Bundle::new("stat -c %u:%g /data/file && ls /sys/class/net && touch /data/new");
    fs::create_dir(bundle.path("data")).unwrap();
    fs::write(bundle.path("data/file"), "").unwrap();
    chown(bundle.path("data/file"), Some(3), Some(4)).unwrap();
    bundle.map_ids();
    bundle.mount(bind(&bundle.path("data"), "/data", &["bind", "idmap"]));
    bundle.change(|spec| {
        for name in ["uidMappings", "gidMappings"] {
            spec["linux"].as_object_mut().unwrap().remove(name);
        }
        for one in spec["linux"]["namespaces"].as_array_mut().unwrap() {
            let kind = one["type"].as_str().unwrap();
            let file = if kind == "network" { "net" } else { kind };
            if ["user", "net", "ipc", "uts"].contains(&file) {
                one["path"] = format!("/proc/{pid}/ns/{file}").into();
            }
        }
        spec["hostname"] = Value::Null;
    });
    let output = bundle.oci(&["run", &bundle.id()]);
    pod.runs(&["delete", "--force", &pod.id()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3:4\nlo\n", "{output:?}");
    assert_eq!(fs::metadata(bundle.path("data/new")).unwrap().uid(), 0);
}

#[test]
fn privileged_a_user_namespace_gets_the_hosts_devices() {
    let bundle =
        Bundle::new("stat -c '%t:%T' /dev/null /dev/tty; echo > /dev/null; ls /sys >/dev/null");
    bundle.map_ids();
    bundle.change(|spec| {
        spec["linux"]["devices"] = json!([{"type": "p", "path": "/dev/pipe"}]);
    });
    assert_eq!(bundle.output(), "1:3\n5:0\n");
}

#[test]
fn privileged_what_has_no_namespace_of_its_own_is_the_hosts_to_be_read() {
    let bundle =
        Bundle::new("! touch /sys/x && ls /sys/class > /dev/null && ! touch /sys/fs/cgroup/x");
    bundle.map_ids();
    bundle.change(|spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|one| one["type"] != "network");
        for mount in spec["mounts"].as_array_mut().unwrap() {
            mount["options"].as_array_mut().unwrap().retain(|option| option != "ro");
        }
    });
    bundle.output();
}

#[test]
fn privileged_propagation_of_the_root_is_as_asked_for() {
    for (word, root, below) in [
        ("shared", true, false),
        ("rshared", true, true),
        ("slave", false, false),
        ("private", false, false),
    ] {
        let bundle = Bundle::new("");
        bundle.script("sed -n 's/.* \\(\\/\\|\\/sys\\) r[ow]/\\1 r/p' /proc/self/mountinfo");
        bundle.change(|spec| spec["linux"]["rootfsPropagation"] = word.into());
        let output = bundle.output();
        let lines: Vec<_> = output.lines().map(|line| line.contains("shared:")).collect();
        assert_eq!(lines, [root, below], "{word}: {output}");
    }
}

#[test]
fn privileged_propagation_of_a_mount_connects_it_with_the_host() {
    let shared = tempfile::tempdir().unwrap();
    let run = |program: &str, words: &[&str]| {
        let done = Command::new(program).args(words).arg(shared.path()).status();
        assert!(done.unwrap().success());
    };
    run("mount", &["-t", "tmpfs", "none"]);
    run("mount", &["--make-shared"]);
    for name in ["from-host", "from-container"] {
        fs::create_dir(shared.path().join(name)).unwrap();
    }
    let bundle = Bundle::new("");
    bundle.empower();
    bundle.mount(bind(shared.path(), "/shared", &["rbind", "rshared"]));
    bundle.mount(bind(shared.path(), "/slave", &["rbind", "rslave"]));
    bundle.mount(bind(shared.path(), "/private", &["rbind", "rprivate"]));
    bundle.script(
        "mount -t tmpfs n /slave/from-container; mount -t tmpfs n /shared/from-container; \
         touch /shared/from-container/x; while ! [ -e /slave/from-host/x ]; do sleep 0.01; done; \
         [ -e /shared/from-host/x ] && ! [ -e /private/from-host/x ]",
    );
    let id = &bundle.id();
    bundle.runs(&["run", "--detach", id]);
    let seen = shared.path().join("from-container/x");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !seen.exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let arrived = seen.exists();
    let inner = shared.path().join("from-host");
    let done = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&inner).status().unwrap();
    fs::write(inner.join("x"), "").unwrap();
    bundle.until("stopped");
    bundle.runs(&["delete", id]);
    let _ = Command::new("umount").arg("-R").arg(shared.path()).status();
    assert!(done.success() && arrived);
}

#[test]
fn privileged_a_root_without_pivot_is_on_top() {
    let bundle = Bundle::new(
        "cat /mark; grep -c '^proc [^ ]*/proc proc' /proc/mounts; [ $$ = 1 ] && ! touch /x",
    );
    fs::write(bundle.path("rootfs/mark"), "inside\n").unwrap();
    // The host's own procfs is gone, and with it what is not masked.
    assert_eq!(bundle.runs(&["run", "--no-pivot", &bundle.id()]), "inside\n1\n");
    bundle.is_clean();
}

#[test]
fn privileged_long_options_of_a_file_system_are_taken() {
    let bundle = Bundle::new("cat /over/file");
    let [lower, other] =
        ["lower", "other"].map(|name| bundle.path(&format!("{}/{name}", "x".repeat(150))));
    [&lower, &other].into_iter().for_each(|path| fs::create_dir_all(path).unwrap());
    fs::write(lower.join("file"), "text").unwrap();
    let option = format!("lowerdir={}:{}", lower.display(), other.display());
    bundle.mount(json!({"destination": "/over", "type": "overlay", "source": "overlay",
        "options": ["ro", option]}));
    assert_eq!(bundle.output(), "text");
}

/// Everything that is about mounts, on a kernel that lacks what they are made by.
#[test]
fn privileged_kernels_without_the_calls_for_mounts_do() {
    let script = "set -e; grep -q proc /proc/mounts; ! touch /sys/x; [ -c /dev/null ]; \
        [ $(stat -c %a /dev/shm) = 1777 ]; [ -z \"$(cat /proc/keys)\" ]; ! touch /sys/firmware/x; \
        ! touch /x; ! echo x > /proc/sys/kernel/hostname; cat /made/file/here; ! touch /data/x; \
        cat /etc/file; grep ' /data ' /proc/self/mountinfo | grep -q ro,nosuid; \
        ls /proc/self/fd | wc -l; [ $(cat /proc/sys/net/ipv4/ip_forward) = 1 ]";
    let all = [&MOUNT_CALLS[..], &["openat2"]].concat();
    for calls in [&["openat2"][..], &["mount_setattr"], &MOUNT_CALLS, &all] {
        let bundle = Bundle::new(script);
        fs::create_dir_all(bundle.path("rootfs/etc")).unwrap();
        fs::write(bundle.path("rootfs/etc/file"), "copied\n").unwrap();
        fs::write(bundle.path("file"), "bound\n").unwrap();
        bundle.mount(bind(&bundle.path("file"), "/made/file/here", &["bind"]));
        bundle.mount(bind(&bundle.path(""), "/data", &["rbind", "ro", "nosuid"]));
        bundle.mount(memory("/etc", &["tmpcopyup", "ro"]));
        bundle.change(|spec| {
            spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
        });
        let outer = bundle.without(calls);
        let output = outer.oci(&["run", &outer.id()]);
        assert!(output.status.success(), "{calls:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "bound\ncopied\n4\n", "{calls:?}");
        assert_eq!(fs::read_dir(bundle.path("states")).unwrap().count(), 0);
    }
}

/// Devices and the console are made in `/dev` before it cannot be written to; and what is to be hidden
/// twice is hidden once.
#[test]
fn privileged_a_read_only_dev_and_paths_named_twice() {
    let bundle = Bundle::new(
        "test -c /dev/null && ! touch /dev/x 2>/dev/null && grep -c ' /opt ' /proc/mounts",
    );
    fs::create_dir(bundle.path("rootfs/opt")).unwrap();
    bundle.change(|spec| {
        spec["linux"]["maskedPaths"] = json!(["/opt", "/opt"]);
        let mounts = spec["mounts"].as_array_mut().unwrap();
        let dev = mounts.iter_mut().find(|mount| mount["destination"] == "/dev").unwrap();
        dev["options"].as_array_mut().unwrap().push("ro".into());
    });
    assert_eq!(bundle.runs(&["run", &bundle.id()]), "1\n");
    bundle.is_clean();
}

/// A file system of its own at a path of the bundle, mounted with options.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(place: std::path::PathBuf, options: &str) -> Self {
        fs::create_dir(&place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(&place);
        assert!(mount.status().unwrap().success());
        Self(place)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn privileged_attributes_of_a_bind_mount_replace_those_of_its_source() {
    let bundle = Bundle::new("");
    let source = Mounted::new(bundle.path("data"), "ro,nodev,noexec,noatime");
    let mut script = String::new();
    let cases = [
        (&["rbind"][..], "ro,nodev,noexec,noatime", "ro,nodev,noexec,noatime"),
        (&["rbind", "nosuid"], "rw,nosuid,noatime", "ro,nosuid,nodev,noexec,noatime"),
        (&["bind", "nosuid", "relatime"], "rw,nosuid,relatime", ""),
        (&["bind", "nodev", "rro"], "ro,nodev,noatime", "ro,nodev,noexec,noatime"),
    ];
    for (number, (options, ..)) in cases.iter().enumerate() {
        bundle.mount(bind(&source.0, &format!("/m{number}"), options));
        script.push_str(&attributes(&format!("/m{number}")));
    }
    bundle.script(&script);
    let first = |text: &str| text.split(' ').next().unwrap().to_owned();
    let output = bundle.output();
    let found: Vec<_> = output.lines().map(first).collect();
    assert_eq!(found, cases.map(|(_, words, _)| words), "{output}");
    // In a user namespace the kernel keeps what the host has.
    bundle.map_ids();
    bundle.change(|spec| {
        // Access times cannot be changed there.
        let mounts = spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != "/m2");
    });
    let output = bundle.output();
    let found: Vec<_> = output.lines().map(first).collect();
    let kept = cases.map(|(_, _, kept)| kept);
    assert_eq!(
        found,
        kept.into_iter().filter(|kept| !kept.is_empty()).collect::<Vec<_>>(),
        "{output}"
    );
}

#[test]
fn privileged_links_at_the_ends_of_paths_are_taken_as_asked_for() {
    let bundle = Bundle::new(
        "readlink /copied/link; readlink /bound; cat /etc/target /etc/link; cat /relative",
    );
    fs::write(bundle.path("file"), "text\n").unwrap();
    symlink("file", bundle.path("link")).unwrap();
    fs::create_dir(bundle.path("rootfs/etc")).unwrap();
    fs::write(bundle.path("rootfs/etc/target"), "target\n").unwrap();
    symlink("target", bundle.path("rootfs/etc/link")).unwrap();
    bundle.mount(bind(&bundle.path("link"), "/copied/link", &["bind", "copy-symlink"]));
    bundle.mount(bind(&bundle.path("link"), "/bound", &["bind", "src-nofollow"]));
    bundle.mount(bind(&bundle.path("file"), "/etc/link", &["bind", "dest-nofollow"]));
    bundle.mount(bind(&bundle.path("link"), "relative", &["bind"]));
    let output = bundle.oci(&["run", &bundle.id()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "file\nfile\ntarget\ntext\ntext\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("note: the mount destination `relative` is relative"), "{said}");
}

#[test]
fn privileged_ids_may_be_in_a_mount_option() {
    let bundle = Bundle::new("stat -c %u:%g /m/file");
    fs::create_dir(bundle.path("data")).unwrap();
    fs::write(bundle.path("data/file"), "").unwrap();
    chown(bundle.path("data/file"), Some(5), Some(6)).unwrap();
    let option = "idmap=uids=0-0-5#5-1005-1;gids=0-2000-10";
    bundle.mount(bind(&bundle.path("data"), "/m", &["bind", option]));
    assert_eq!(bundle.output(), "1005:2006\n");
    bundle.change(|spec| {
        let mount = spec["mounts"].as_array_mut().unwrap().last_mut().unwrap();
        mount["options"] = json!(["bind", "idmap=uids=0-1"]);
    });
    bundle.fails(1, &["run", &bundle.id()], "options` is `uids=0-1`, which is not ids such as");
}
