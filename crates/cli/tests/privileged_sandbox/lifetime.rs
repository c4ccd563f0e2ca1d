//! Beginnings, ends and who is told of them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::world::{Who, World, everywhere, text};

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_exit_code_is_the_programs() {
    everywhere(|world| {
        for options in ["", "--unshare-pid", "--unshare-pid --as-pid-1", "--unshare-all"] {
            world.fails(&format!("$B {options} sh -c 'exit 7'"), 7);
        }
        world.fails("$B --unshare-pid sh -c 'kill -9 $$'", 137);
        world.fails("$B sh -c 'kill -9 $$'", 137);
        for (call, codes) in [("$B", [1, 1, 1]), ("$C", [127, 126, 125])] {
            world.fails(&format!("{call} --dir /empty /empty/no"), codes[0]);
            world.fails(&format!("{call} /usr"), codes[1]);
            world.fails(&format!("{call} --bind"), codes[2]);
        }
        // Children may be ignored by who starts it.
        world.fails("trap '' CHLD; $B --unshare-pid sh -c 'exit 7'", 7);
    });
}

#[test]
fn the_program_goes_on_when_it_leaves_others() {
    everywhere(|world| {
        let started = Instant::now();
        world.prints(
            "$B --unshare-pid --dev /dev --bind . /d sh -c '(sleep 1; echo late >/d/late) &' >/dev/null 2>&1",
        );
        assert!(started.elapsed() < Duration::from_millis(900));
        until("what was left goes on", || text(world.path("late")) == "late\n");
    });
}

#[test]
fn orphans_are_reaped() {
    everywhere(|world| {
        let script = "$B --unshare-pid --proc /proc sh -c '(sh -c \"exit 0\" &); sleep 0.3; \
                      grep -l \"^State:.Z\" /proc/[0-9]*/status; true'";
        assert_eq!(world.prints(script), "");
    });
}

#[test]
fn others_are_told_of_the_process() {
    everywhere(|world| {
        let script = "$B --unshare-all --proc /proc --info-fd 8 --json-status-fd 9 sh -c \
            'stat -Lc %i /proc/self/ns/ipc /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid; exit 3' \
            8>info 9>status; test $? = 3";
        let found = world.prints(script);
        let info: serde_json::Value = serde_json::from_str(&text(world.path("info"))).unwrap();
        let status = text(world.path("status"));
        let mut lines = status.lines().map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(Some(info.clone()), lines.next());
        assert_eq!(lines.next(), Some(serde_json::json!({ "exit-code": 3 })));
        for (kind, number) in ["ipc", "mnt", "net", "pid"].into_iter().zip(found.lines()) {
            assert_eq!(info[format!("{kind}-namespace")].to_string(), number, "{kind}");
        }
        assert!(info["child-pid"].is_number());
        // A program that was not executed has no exit code.
        world.fails("$B --json-status-fd 9 /usr 9>status", 1);
        assert!(!text(world.path("status")).contains("exit-code"));
    });
}

#[test]
fn what_is_written_for_others_ends() {
    // Who reads until the end waits neither for the sandbox nor for this process.
    everywhere(|world| {
        let script = "mkfifo f; $B --die-with-parent --info-fd 9 sleep 30 9>f & cat f >got; kill $!; grep -c child-pid got";
        let started = Instant::now();
        assert_eq!(world.prints(script), "1");
        assert!(started.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn others_write_the_id_maps() {
    let world = World::new(Who::Root);
    let script = "mkfifo go info; $B --unshare-user --unshare-pid --info-fd 8 --userns-block-fd 9 \
        cat /proc/self/uid_map 8>info 9<>go >map & \
        pid=$(cat info | grep -o 'child-pid\": [0-9]*' | grep -o '[0-9]*'); \
        echo '0 0 10' >/proc/$pid/uid_map; echo '0 0 1' >/proc/$pid/gid_map; echo >go; wait $!; true";
    // Without `/proc` inside the program cannot show it, so this binds the host's.
    let script = script.replace("cat /proc", "--ro-bind /proc /proc cat /proc");
    world.prints(&script);
    let map: Vec<_> = text(world.path("map")).split_whitespace().map(str::to_owned).collect();
    assert_eq!(map, ["0", "0", "10"]);
}

#[test]
fn a_descriptor_blocks_the_start() {
    everywhere(|world| {
        let script = "mkfifo f; $B --block-fd 9 --bind . /d touch /d/ran 9<>f & sleep 0.4; \
                      test ! -e ran || exit 5; echo go >f; wait $!; test -e ran";
        world.prints(script);
    });
}

#[test]
fn a_descriptor_stays_open_as_long_as_the_sandbox_lives() {
    everywhere(|world| {
        let script = "mkfifo f; $B --sync-fd 9 --unshare-pid --dev /dev sh -c 'sleep 0.7 >/dev/null 2>&1 & exit 0' 9>f & \
                      cat f; date +%s%N >end; wait $!";
        let started = Instant::now();
        world.prints(script);
        assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
    });
}

#[test]
fn all_die_with_the_caller_and_release_what_they_lock() {
    everywhere(|world| {
        for options in ["", "--unshare-pid"] {
            let script = format!(
                "touch lock; echo $$ >shell; $B --die-with-parent {options} --bind . /d \
                 --lock-file /d/lock sh -c 'echo >/d/up; exec sleep 60'; true"
            );
            let mut child = world.command(&script).stdout(Stdio::null()).spawn().unwrap();
            until("it runs", || world.path("up").exists());
            let locked = || {
                let code = "import fcntl,struct,sys; f=open('lock','a'); \
                    fcntl.fcntl(f, fcntl.F_SETLK, struct.pack('hhqqhh', fcntl.F_WRLCK, 0, 0, 0, 0, 0))";
                !world.run(&format!("/usr/bin/python3 -c \"{code}\"")).status.success()
            };
            assert!(locked(), "{options}");
            child.kill().unwrap();
            child.wait().unwrap();
            until("the lock is released", || !locked());
            std::fs::remove_file(world.path("up")).unwrap();
        }
    });
}

#[test]
fn words_come_from_descriptors_too() {
    everywhere(|world| {
        let script = "printf '%s\\0' --dir /a/b --setenv X 1 >args; \
                      $B --args 9 sh -c 'test -d /a/b && echo $X' 9<args";
        assert_eq!(world.prints(script), "1");
        let words = world.fails("printf '%s\\0' --args 9 >args; $B --args 9 true 9<args", 1);
        assert!(words.contains("--args"), "{words}");
    });
}
