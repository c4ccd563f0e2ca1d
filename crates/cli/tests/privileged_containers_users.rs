//! Containers with ids of their own: `--userns auto` and `--userns keep-id`.
#![allow(clippy::unwrap_used)]

mod containers;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use containers::{Background, INIT, Who, World, sh};

/// Four containers' worth of ids, less one.
const IDS: &str = "root:5:1\ncontainers:700000:262143\n";
/// What maps the ids of the process, with single spaces.
const MAP: &str = "echo $(cat /proc/self/uid_map)";
const AUTO: [&str; 2] = ["--userns", "auto"];
const KEEP: [&str; 2] = ["--userns", "keep-id"];

fn root() -> World {
    let mut world = World::new(Who::Root);
    world.give_ids(IDS);
    world
}

/// A container that goes on until it gets SIGTERM.
fn waits(world: &World, options: &[&str]) -> Background {
    let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    world.background(&[&["run"], options, &["box", "sh", "-c", script]].concat())
}

fn end(running: Background) {
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
}

/// The owner outside of a file that a container has made.
fn owner(world: &World, container: &str, path: &str) -> (u32, u32) {
    let listed = world.runs(&["ps", "-a"]);
    assert!(listed.contains(container), "{listed}");
    let id = world.ids().remove(0);
    let upper = world.path("store/containers").join(id).join("upper");
    let meta = std::fs::symlink_metadata(upper.join(path)).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn privileged_auto_is_as_any_container_inside() {
    let world = root();
    world.prints(&AUTO, MAP, "0 700000 65536");
    world.prints(
        &AUTO,
        "id -u; id -g; stat -c %u:%g / /bin /bin/busybox /tmp",
        "0\n0\n0:0\n0:0\n0:0\n0:0",
    );
    let own = "cd /etc; stat -c %u:%g hosts hostname resolv.conf; echo x >> hosts && tail -1 hosts";
    world.prints(&AUTO, own, "0:0\n0:0\n0:0\nx");
    // Pipes can be opened anew, by root and by others.
    world.prints(&AUTO, "echo out > /dev/stdout; echo err > /dev/stderr", "out\nerr");
    world.prints(&[&AUTO[..], &["-u", "7:8"]].concat(), "id -u; id -g; echo > /dev/stdout", "7\n8");
    let write = "mkdir /d && echo x > /d/f && chown 5:6 /d/f && stat -c %u:%g /d/f; rm /etc/group";
    world.prints(&AUTO, write, "5:6");
    assert_eq!(world.script(&AUTO, "touch /x; chown 65536 /x").0, 1);
    world.prints(
        &[&AUTO[..], &["--read-only"]].concat(),
        "(touch /x) 2>/dev/null || echo no",
        "no",
    );
    world.prints(
        &[&AUTO[..], &INIT].concat(),
        "echo $$; ls /proc/1/root >/dev/null && echo up",
        "2\nup",
    );
    let network = [&AUTO[..], &["--network", "host"]].concat();
    world.prints(
        &network,
        "ls /sys/class/net | grep -c lo; cat /sys/kernel/profiling >/dev/null",
        "1",
    );
    world.prints(
        &[&AUTO[..], &["--memory", "64m"]].concat(),
        "ls -d /sys/fs/cgroup",
        "/sys/fs/cgroup",
    );
    world.is_clean();
}

/// Whatever it may inside, it is nobody outside.
#[test]
fn privileged_auto_holds_what_is_privileged() {
    let world = root();
    let all = [&AUTO[..], &["--privileged"]].concat();
    let secret = world.file("secret", "hidden");
    sh(&format!(
        "chmod 600 {secret}; mkdir -m 700 {0}; touch {0}/f",
        world.path("closed").display()
    ));
    let secret = format!("{secret}:/secret");
    let volume = [&all[..], &["-v", &secret]].concat();
    world.prints(
        &volume,
        "stat -c %u:%g /secret; cat /secret 2>/dev/null || echo no",
        "65534:65534\nno",
    );
    world.prints(&all, "mknod /d b 8 0 2>/dev/null || echo no", "no");
    world.prints(&all, "mount -o remount,dev,bind / 2>/dev/null || echo no", "no");
    let read_only = [&all[..], &["-v", "./closed:/c:ro"]].concat();
    world.prints(&read_only, "mount -o remount,rw,bind /c 2>/dev/null || echo kept", "kept");
    world.is_clean();
}

#[test]
fn privileged_auto_volumes() {
    let world = root();
    let shared = world.path("shared");
    sh(&format!("mkdir {0}; mkdir -m 700 {0}/own; chown 1234 {0}/own", shared.display()));
    let volume = |options: &str| {
        let text = format!("./shared:/mnt{options}");
        [&AUTO[..], &["-v", &text]]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let prints = |options: &str, script: &str, expected: &str| {
        let options = volume(options);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        world.prints(&options, script, expected);
    };
    prints(
        "",
        "stat -c %u /mnt /mnt/own; (touch /mnt/x) 2>/dev/null || echo no",
        "65534\n65534\nno",
    );
    prints(
        ":idmap",
        "stat -c %u /mnt /mnt/own; touch /mnt/made && stat -c %u /mnt/made",
        "0\n1234\n0",
    );
    assert_eq!(std::fs::metadata(shared.join("made")).unwrap().uid(), 0);
    let given = ["run", "--rm", "--userns", "auto", "-v", "./shared:/mnt:U", "box", "true"];
    world.refuses(&given, &["/mnt", "`U`", "hint: write `idmap`"]);
    world.prints(&["-v", "./shared:/mnt:U"], "stat -c %u /mnt/own", "1234");
    // A directory of somebody else that root reaches only as root.
    let deep = [&AUTO[..], &["-v", "./shared/own:/own:idmap"]].concat();
    world.prints(&deep, "stat -c %u:%a /own; touch /own/x && echo made", "1234:700\nmade");
    world.prints(&["-v", "./shared:/mnt:idmap"], "stat -c %u /mnt/own", "1234");
    world.is_clean();
}

#[test]
fn privileged_auto_containers_share_no_ids() {
    let world = root();
    let first = waits(&world, &["--userns", "auto", "--name", "one"]);
    world.prints(&AUTO, MAP, "0 765536 65536");
    world.runs(&["run", "--userns", "auto", "--name", "two", "box", "true"]);
    world.runs(&["run", "--userns", "auto", "--name", "three", "box", "true"]);
    let run = ["run", "--rm", "--userns", "auto", "box", "true"];
    world.refuses(&run, &["65536", "user", "196608", "hint: ", "echo containers:1000000:"]);
    // One fewer is left.
    world.prints(&["--userns", "auto:size=65535"], MAP, "0 896608 65535");
    world.runs(&["rm", "two"]);
    world.prints(&AUTO, MAP, "0 765536 65536");
    let exec = [
        "exec",
        "one",
        "sh",
        "-c",
        "echo $(cat /proc/self/uid_map); id -u; touch /e; stat -c %u /e",
    ];
    assert_eq!(world.runs(&exec), "0 700000 65536\n0\n0\n");
    assert_eq!(world.runs(&["exec", "-u", "9", "one", "id", "-u"]), "9\n");
    world.refuses(&["rm", "one"], &["one"]);
    end(first);
    for name in ["one", "three"] {
        world.runs(&["rm", name]);
    }
    world.is_clean();
}

/// Those that choose at the same time choose differently.
#[test]
fn privileged_auto_many_at_once() {
    let world = root();
    let run = |_| {
        let script = format!("{MAP}; sleep 2");
        let run = ["run", "--rm", "--userns", "auto:size=10000", "box", "sh", "-c", &script];
        world.command(&run).stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..8).map(run).collect();
    let outputs = children.into_iter().map(|child| child.wait_with_output().unwrap());
    let mut maps: Vec<_> = outputs.map(|output| containers::result(output).1).collect();
    maps.sort();
    maps.dedup();
    assert_eq!(maps.len(), 8, "{maps:?}");
    world.is_clean();
}

#[test]
fn privileged_auto_changes_are_kept_with_their_owners() {
    let world = root();
    let script = "touch /made; chown 5:6 /made; mkdir -p /tmp/d; chown 7 /tmp; rm -r /root; mkdir /root; \
        echo run >> /log; cat /log";
    let run = ["run", "--userns", "auto", "--name", "kept", "box", "sh", "-c", script];
    assert_eq!(world.runs(&run), "run\n");
    assert_eq!(owner(&world, "kept", "made"), (700_005, 700_006));
    let diff = world.runs(&["diff", "kept"]);
    assert_eq!(diff, "C /etc\nA /log\nA /made\nC /root\nC /tmp\nA /tmp/d\n");
    assert_eq!(world.runs(&["start", "kept"]), "run\nrun\n");
    world.runs(&[
        "commit",
        "-c",
        "CMD [\"stat\", \"-c\", \"%u:%g\", \"/made\", \"/tmp\", \"/tmp/d\", \"/\"]",
        "kept",
        "new",
    ]);
    for options in [&[][..], &AUTO] {
        let run = [&["run", "--rm"], options, &["new"]].concat();
        assert_eq!(world.runs(&run), "5:6\n7:0\n0:0\n0:0\n", "{options:?}");
    }
    assert!(world.runs(&["ps", "-a"]).contains("kept"));
    assert_eq!(world.runs(&["fsck"]), "the store is whole\n");
    world.runs(&["rm", "kept"]);
    world.is_clean();
}

#[test]
fn privileged_auto_says_what_is_missing() {
    let mut world = World::new(Who::Root);
    world.give_ids("somebody:2000000:5\n");
    let run = ["run", "--rm", "--userns", "auto", "box", "true"];
    world.refuses(&run, &["root", "no subordinate ids", "usermod --add-subuids 2000005-"]);
    world.give_ids("root:800000:65536\n");
    world.prints(&AUTO, MAP, "0 800000 65536");
    world.prints(&["--userns", "auto:size=3"], "id -u; ls -ln /dev/pts | grep -c ptmx", "0\n1");
    world
        .refuses(&["run", "--userns", "auto:size=3", "-u", "9", "box", "true"], &["9:0", "hint: "]);
    world.refuses(&["run", "--rm", "--userns", "auto", "host:", "true"], &["host:", "hint: "]);
    world
        .refuses(&["run", "--rm", "--userns", "auto:size=0", "box", "true"], &["size=0", "hint: "]);
    // The caller is root inside and outside.
    world.prints(&KEEP, MAP, "0 0 4294967295");
    assert!(
        world.runs(&["run", "--explain", "--userns", "auto", "box", "true"]).contains("800000")
    );
    world.is_clean();
}

/// A store on memory has directories; the kernel maps their ids all the same.
#[test]
fn privileged_auto_in_a_loose_store() {
    let mut world = root();
    let memory = tempfile::tempdir().unwrap();
    let path = memory.path().display();
    sh(&format!("mount -t tmpfs tmpfs {path}; chmod 700 {path}"));
    world.store = memory.path().join("store");
    world.import();
    world.prints(&AUTO, "stat -c %u:%g / /bin; echo x > /x && stat -c %u /x", "0:0\n0:0\n0");
    world.is_clean();
    sh(&format!("umount {path}"));
}

fn user() -> (World, String) {
    let world = World::new(Who::User);
    let uid = std::fs::metadata(world.path("")).unwrap().uid().to_string();
    (world, uid)
}

#[test]
fn privileged_keep_id() {
    let (world, uid) = user();
    world.prints(&KEEP, "id -u; id -g", &format!("{uid}\n{uid}"));
    world.prints(&KEEP, "stat -c %u:%g / /bin /bin/busybox /etc/hosts", "0:0\n0:0\n0:0\n0:0");
    world.prints(&KEEP, "(touch /x) 2>/dev/null || touch /tmp/x && stat -c %u /tmp/x", &uid);
    let name = world.runs(&[
        "run",
        "--rm",
        "--userns",
        "keep-id",
        "-w",
        "/tmp",
        "box",
        "sh",
        "-c",
        "id -un; echo $HOME",
    ]);
    assert!(name.starts_with("creel-ct-") && name.ends_with("\n/tmp\n"), "{name}");
    let home = format!("{0}:{0}", world.path("home").display());
    std::fs::create_dir(world.path("home")).unwrap();
    sh(&format!("chown {uid}:{uid} {0}; chmod 700 {0}", world.path("home").display()));
    let mount = [&KEEP[..], &["-v", &home]].concat();
    let script = format!("cd {}; stat -c %u:%g .; echo x > made", world.path("home").display());
    world.prints(&mount, &script, &format!("{uid}:{uid}"));
    assert_eq!(std::fs::metadata(world.path("home/made")).unwrap().uid().to_string(), uid);
    // Root there is somebody else.
    world.prints(&[&KEEP[..], &["-u", "0"]].concat(), "id -u; touch /x; stat -c %u /x", "0\n0");
    world.prints(&["--userns", "keep-id:uid=5,gid=6"], "id -u; id -g", "5\n6");
    world.prints(&[&KEEP[..], &INIT].concat(), "id -u", &uid);
    world.is_clean();
}

#[test]
fn privileged_keep_id_changes_are_kept_with_their_owners() {
    let (world, uid) = user();
    let script = "touch /made /other; chown 5:6 /made; echo ready; sleep 0.1";
    let run =
        ["run", "--userns", "keep-id", "-u", "0", "--name", "kept", "box", "sh", "-c", script];
    assert_eq!(world.runs(&run), "ready\n");
    assert_eq!(world.runs(&["start", "kept"]), "ready\n");
    let diff = world.runs(&["diff", "kept"]);
    assert_eq!(diff, "C /etc\nC /etc/group\nC /etc/passwd\nA /made\nA /other\n");
    world.runs(&[
        "commit",
        "-c",
        "CMD [\"stat\", \"-c\", \"%u:%g\", \"/made\", \"/other\", \"/etc/passwd\"]",
        "kept",
        "new",
    ]);
    for options in [&[][..], &KEEP] {
        let run = [&["run", "--rm"], options, &["new"]].concat();
        assert_eq!(world.runs(&run), "5:6\n0:0\n0:0\n", "{options:?}");
    }
    world.runs(&["rm", "kept"]);
    let running = waits(&world, &["--userns", "keep-id", "--rm", "--name", "one"]);
    assert_eq!(world.runs(&["exec", "one", "id", "-u"]), format!("{uid}\n"));
    assert_eq!(world.runs(&["exec", "-u", "0", "one", "id", "-u"]), "0\n");
    end(running);
    assert_eq!(world.runs(&["fsck"]), "the store is whole\n");
    world.runs(&["rmi", "new", "box"]);
    world.runs(&["prune", "--all"]);
    assert_eq!(std::fs::read_dir(world.path("store/checkouts")).unwrap().count(), 0);
    world.is_clean();
}

#[test]
fn privileged_auto_of_a_user() {
    let (world, _) = user();
    world.prints(&AUTO, MAP, "0 1 1024");
    world.prints(
        &AUTO,
        "id -u; stat -c %u:%g / /bin/busybox; touch /x; stat -c %u /x",
        "0\n0:0\n0:0\n0",
    );
    let first = waits(&world, &["--rm", "--userns", "auto", "--name", "one"]);
    world.prints(&AUTO, MAP, "0 1025 1024");
    assert_eq!(world.runs(&["exec", "one", "id", "-u"]), "0\n");
    world.prints(&["--userns", "auto:size=64000"], "id -u", "0");
    world.refuses(&["run", "--userns", "auto:size=65000", "box", "true"], &["65000", "creel-ct-"]);
    end(first);
    world.is_clean();
}

#[test]
fn privileged_one_id_is_too_few() {
    let world = World::new(Who::UserWithOneId);
    for kind in ["auto", "keep-id"] {
        let run = ["run", "--rm", "--userns", kind, "box", "true"];
        world.refuses(&run, &["no subordinate ids", "usermod --add-subuids", "creel-ct-"]);
    }
    assert!(!Path::new(&world.path("store/containers/ids.lock")).exists());
    world.is_clean();
}

/// The program that waits for the container does not hold the host's mounts.
#[test]
fn privileged_mounts_of_the_host_are_not_held() {
    let world = root();
    let running = waits(&world, &["--rm", "--userns", "auto"]);
    let pid = running.child.id();
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    assert!(!mounts.contains("/stage "), "{mounts}");
    let working = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(working, world.path("").canonicalize().unwrap());
    end(running);
    world.is_clean();
}
