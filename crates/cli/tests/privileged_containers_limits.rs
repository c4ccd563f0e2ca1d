//! What holds a container back: control groups, system calls, and devices.
#![allow(clippy::unwrap_used)]

mod containers;

use std::os::unix::fs::MetadataExt as _;

use containers::{INIT, Who, World, sh};
use creel_testkit::busybox;
use creel_testkit::image::Image;
use creel_testkit::tar::{Entry, Tar};

/// A file of the container's own group, as version 2 or 1 has it.
fn group_file(new: &str, old: &str) -> String {
    format!("cat /sys/fs/cgroup/{new} 2>/dev/null || cat /sys/fs/cgroup/{old}")
}

#[test]
fn privileged_limits_are_set_and_hold() {
    let world = World::new(Who::Root);
    let limits = ["--memory", "32m", "--cpus", "0.5", "--pids-limit", "20"];
    let memory = group_file("memory.max", "memory/memory.limit_in_bytes");
    world.prints(&limits, &memory, "33554432");
    world.prints(&limits, &group_file("pids.max", "pids/pids.max"), "20");
    let quota = "if [ -e /sys/fs/cgroup/cpu.max ]; then cut -d' ' -f1 /sys/fs/cgroup/cpu.max; \
                 else cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us; fi";
    world.prints(&limits, quota, "50000");
    world.prints(&[], &group_file("pids.max", "pids/pids.max"), "2048");
    // More processes than it may have.
    let forks = "for n in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo made";
    assert_eq!(world.script(&["--pids-limit", "20"], forks), (0, "made".into()));
    assert_ne!(world.script(&["--pids-limit", "5"], forks).0, 0);
    // More memory than it may have, in a file system that belongs to it.
    let fill = ["--memory", "16m", "--tmpfs", "/m:size=64m"];
    let (code, said) = world.script(&fill, "exec dd if=/dev/zero of=/m/x bs=1M count=60");
    assert_eq!(code, 137, "{said}");
    world.refuses(&["run", "--rm", "--cpus", "none", "box", "true"], &["none", "hint: "]);
    world.refuses(&["run", "--rm", "--memory", "1k", "box", "true"], &["1 MiB", "hint: "]);
    assert_eq!(world.script(&["--memory", "1m"], "true").0, 0);
    world.is_clean();
}

/// What a container has of the host's files is not changed through it, whoever root is in it.
#[test]
fn privileged_files_of_the_host_stay_as_they_are() {
    let world = World::new(Who::Root);
    let null = || {
        let found = std::fs::metadata("/dev/null").unwrap();
        (found.mode(), found.uid(), found.gid())
    };
    let before = null();
    // Hidden files are covered by it.
    for change in ["chmod 676 /proc/keys /proc/timer_list", "chown 0:5 /proc/keys"] {
        world.prints(&[], &format!("{change} 2>/dev/null; cat /proc/keys; echo done"), "done");
    }
    assert_eq!(null(), before);
    let volume = world.path("v");
    sh(&format!("mkdir -p {0}/sub && mount -t tmpfs none {0}/sub", volume.display()));
    let write = "touch /v/x /v/sub/x 2>/dev/null; ls /v /v/sub";
    let seen = [&[][..], &["--userns", "host"]]
        .map(|options| world.script(&[options, &["-v", "./v:/v:ro"]].concat(), write));
    sh(&format!("umount {}/sub", volume.display()));
    assert_eq!(seen, [(); 2].map(|()| (0, "/v:\nsub\n\n/v/sub:".to_owned())));
    world.is_clean();
}

/// Somebody else's run directory could hold anything, such as a process that is none of a container's.
#[test]
fn privileged_the_run_directory_of_another_is_not_used() {
    let world = World::new(Who::User);
    // A store that never had a container is looked at without a run directory.
    world.runs(&["run", "--rm", "box", "true"]);
    let run = world.path("run");
    let _ = std::fs::remove_dir_all(&run);
    sh(&format!("mkdir -m 777 {}", run.display()));
    for command in [&["ps"][..], &["run", "--rm", "box", "true"], &["rm", "x"], &["prune"]] {
        world.refuses(command, &["can be written by others", "hint: ", "--run-dir"]);
    }
    assert_eq!(std::fs::read_dir(&run).unwrap().count(), 0);
    sh(&format!("rmdir {}", run.display()));
    world.is_clean();
}

#[test]
fn privileged_system_calls_are_filtered() {
    let world = World::new(Who::Root);
    let all = ["--cap-add", "sys_admin"];
    let mount = "mount -t tmpfs none /tmp && echo mounted";
    assert_eq!(world.script(&all, mount).1, "mounted");
    assert_ne!(world.script(&[], mount).0, 0);
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
        [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}"#;
    let own = "default allow\nunknown allow\nerrno=95 mkdir mkdirat\n";
    let made = "mkdir /x 2>&1 | sed 's/.*: //'";
    for (name, profile) in [("profile.json", json), ("profile", own)] {
        let file = format!("seccomp={}", world.file(name, profile));
        world.prints(&["--security-opt", &file], made, "Operation not supported");
    }
    world.prints(&["--security-opt", "seccomp=unconfined"], "mkdir /x && echo made", "made");
    let wrong = format!("seccomp={}", world.file("wrong.json", "{"));
    world.refuses(&["run", "--rm", "--security-opt", &wrong, "box", "true"], &["seccomp profile"]);
    let none = "seccomp=/no/such/file";
    world.refuses(&["run", "--rm", "--security-opt", none, "box", "true"], &["/no/such/file"]);
    world.is_clean();
}

#[test]
fn privileged_a_container_without_restrictions() {
    let world = World::new(Who::Root);
    let status = "grep -E '^(Seccomp|CapEff):' /proc/self/status | sed 's/.*\\t//'";
    // It has what root has here.
    let here = std::fs::read_to_string("/proc/self/status").unwrap();
    let all = here.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    world.prints(&["--privileged"], status, &format!("{all}\n0"));
    let write = "echo other > /proc/sys/kernel/hostname && hostname";
    world.prints(&["--privileged"], write, "other");
    assert_ne!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(), "other");
    world.is_clean();
}

/// What an image or a container holds as a device is none, even with the right to make one.
#[test]
fn privileged_devices_of_an_image_do_not_work() {
    let world = World::new(Who::Root);
    let node = Tar::new().with(Entry::char_device("disk", 1, 5).mode(0o666)).finish();
    let layers = Image::new().layer(busybox::layer().unwrap()).layer(node);
    layers.write(&world.path("devices"), "latest").unwrap();
    let image = format!("oci:{}:latest", world.path("devices").display());
    let script = "test -c /disk && mknod /own c 1 5 && for node in /disk /own; do \
                  (head -c 1 $node) 2>/dev/null || echo refused; done";
    let run = ["run", "--rm", "--cap-add", "mknod", &image, "/bin/sh", "-c", script];
    let (code, said, error) = world.result(&run);
    assert_eq!((code, said.as_str()), (0, "refused\nrefused\n"), "{error}");
    world.is_clean();
}

/// CVE-2019-5736 as a user of the program would meet it: it is intact whatever a container tries.
#[test]
fn privileged_the_program_cannot_be_written_to() {
    let world = World::new(Who::Root);
    let before = std::fs::read(world.path("creel")).unwrap();
    let script =
        "for p in /dev/init /proc/[0-9]*/exe; do (echo evil > $p) 2>/dev/null; done; echo end";
    world.prints(&[&INIT[..], &["--privileged"]].concat(), script, "end");
    assert!(std::fs::read(world.path("creel")).unwrap() == before, "the program was changed");
    world.is_clean();
}

/// The same for a user with a program of his own, who is a container's root: what runs in a container
/// from an image that names the program as its interpreter neither overwrites nor changes it.
#[test]
fn privileged_the_program_of_a_user_is_out_of_reach() {
    for who in [Who::User, Who::UserWithOneId] {
        let world = World::new(who);
        world.own("creel");
        let program = world.path("creel");
        let state = || {
            let meta = std::fs::metadata(&program).unwrap();
            (std::fs::read(&program).unwrap(), meta.mode(), meta.mtime(), meta.ino())
        };
        let before = state();
        let script = "printf '#!/proc/self/exe init\n' > /evil; chmod 755 /evil; echo ready; \
            trap 'exit 0' TERM; while :; do for p in /proc/[0-9]*/exe; do \
            case $(readlink $p) in */busybox|'') ;; *) echo $(readlink $p) >> /seen; \
            (mount -o remount,bind,rw $p; chmod 4777 $p && echo chmod >> /done; \
            touch -d @0 $p && echo touch >> /done; echo evil > $p && echo write >> /done; \
            chown 1 $p && echo chown >> /done) 2>/dev/null;; esac; done; done";
        for options in [&[][..], &["--privileged"]] {
            let run = [&["run", "--rm", "--name", "one"], options, &["box", "sh", "-c", script]];
            let running = world.background(&run.concat());
            for _ in 0..5 {
                // It runs, or the host's libraries that it wants are not there.
                world.result(&["exec", "one", "/evil"]);
            }
            let seen = world.runs(&["exec", "one", "sh", "-c", "cat /seen /done; true"]);
            running.signal("TERM");
            assert_eq!(running.end().0, Some(0));
            let words = ["chmod", "touch", "write", "chown"];
            assert!(!seen.lines().any(|line| words.contains(&line)), "{who:?}: {seen}");
        }
        assert!(state() == before, "{who:?}: the program was changed");
        // Its init is the program all the same.
        world.prints(&[&INIT[..]].concat(), "echo $$", "2");
        world.is_clean();
    }
}

/// Whoever may mount can make the init's mount writable again; what is behind it is a copy.
#[test]
fn privileged_a_container_that_mounts_has_a_copy_of_the_program() {
    for who in [Who::Root, Who::User] {
        let world = World::new(who);
        let program = world.path("creel");
        world.own("creel");
        let state =
            || (std::fs::read(&program).unwrap(), std::fs::metadata(&program).unwrap().mode());
        let before = state();
        let script = "mount -o remount,bind,rw /dev/init && chmod 6777 /dev/init && echo changed; \
            (echo evil > /dev/init) 2>/dev/null; rm -f /dev/init 2>/dev/null";
        for option in [&["--privileged"][..], &["--cap-add", "sys_admin"]] {
            let said = world.script(&[&INIT[..], option].concat(), script).1;
            assert_eq!(said, "changed", "{who:?} {option:?}");
        }
        // Without the capability the program itself is there, and nothing can be done to it.
        assert!(!world.script(&INIT, script).1.contains("changed"), "{who:?}");
        assert!(state() == before, "{who:?}: the program was changed");
        world.is_clean();
    }
}

/// A store on a full disk: the error says so, and nothing stays.
#[test]
fn privileged_a_full_disk_is_told() {
    let world = World::new(Who::Root);
    let run = world.path("run");
    let full = run.join("containers");
    world.runs(&["run", "--rm", "box", "true"]);
    sh(&format!("mount -t tmpfs -o size=4k,nr_inodes=2 none {}", full.display()));
    let (code, _, error) = world.result(&["run", "--rm", "box", "true"]);
    sh(&format!("umount {}", full.display()));
    assert_eq!(code, 125, "{error}");
    assert!(error.contains("No space left on device"), "{error}");
    world.runs(&["run", "--rm", "box", "true"]);
    world.is_clean();
}
