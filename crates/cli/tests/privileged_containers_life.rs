//! Containers that stay, that are many, and that are killed.
#![allow(clippy::unwrap_used)]

mod containers;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use containers::{Background, INIT, Who, World, until};

/// A script that goes on until it is told to end.
const WAITS: &str = "trap 'echo term; exit 5' TERM; trap 'echo int; exit 6' INT; \
    trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done";

fn waits(world: &World, options: &[&str]) -> Background {
    world.background(&[&["run"], options, &["box", "sh", "-c", WAITS]].concat())
}

/// The groups of a container, wherever the hierarchies are.
fn groups(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        found.push(entry.path().join("creel").join(id));
    }
    found.push(Path::new("/sys/fs/cgroup/creel").join(id));
    found.retain(|path| path.exists());
    found
}

/// The container's process as the host sees it.
fn process(world: &World, id: &str) -> i32 {
    // It is written down once it runs, and may have said something by then.
    let file = world.runs_directory().join(id).join("process.json");
    until("the process is written down", || file.exists());
    let text = std::fs::read_to_string(file);
    let text = text.unwrap();
    let digits = text.split("\"pid\":").nth(1).unwrap().trim_start();
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

fn is_alive(pid: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(state.rsplit(") ").next().unwrap_or("").chars().next(), None | Some('Z' | 'X'))
}

#[test]
fn privileged_signals_reach_the_command() {
    let world = World::new(Who::Root);
    for options in [&["--rm"][..], &[&["--rm"][..], &INIT].concat()] {
        for (signal, code, said) in [("TERM", 5, "term\n"), ("INT", 6, "int\n")] {
            let running = waits(&world, options);
            running.signal(signal);
            assert_eq!(running.end(), (Some(code), said.to_owned()), "{options:?} {signal}");
        }
        let running = waits(&world, options);
        running.signal("USR1");
        std::thread::sleep(std::time::Duration::from_millis(500));
        running.signal("TERM");
        assert_eq!(running.end(), (Some(5), "usr1\nterm\n".to_owned()), "{options:?}");
    }
    // With an init the command is not PID 1, and a signal that it does not handle ends it.
    let plain = "echo ready; exec sleep 60";
    let run = [&["run", "--rm"], &INIT[..], &["box", "sh", "-c", plain]].concat();
    let running = world.background(&run);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(143));
    // And it reaps what nobody else does.
    let orphan = "(sleep 0.1 &); sleep 1; cat /proc/[0-9]*/stat | grep -c ') Z '";
    assert_eq!(world.script(&INIT, orphan), (1, "0".into()));
    world.is_clean();
}

/// The program that is tested here is not static, and the image has no libraries.
#[test]
fn privileged_an_init_with_libraries_says_what_it_lacks() {
    let world = World::new(Who::Root);
    world.refuses(&["run", "--rm", "--init", "box", "true"], &["static creel", "hint: "]);
    world.is_clean();
}

#[test]
fn privileged_exec_and_removal_of_a_running_one() {
    let world = World::new(Who::Root);
    let running = waits(&world, &["--name", "one"]);
    let id = world.runs(&["ps", "-q"]).trim().to_owned();
    assert_eq!(
        world.result(&["exec", "one", "sh", "-c", "echo $PATH; exit 9"]),
        (9, "/bin\n".into(), String::new())
    );
    let exec = |arguments: &[&str]| world.runs(&[&["exec"], arguments].concat());
    assert_eq!(exec(&["-e", "A=b", "-w", "/tmp", "one", "sh", "-c", "echo $A; pwd"]), "b\n/tmp\n");
    assert_eq!(exec(&["-u", "7:8", &id[..6], "sh", "-c", "id -u; id -g"]), "7\n8\n");
    assert_eq!(
        exec(&["one", "grep", "CapBnd", "/proc/self/status"]),
        "CapBnd:\t00000000800405fb\n"
    );
    assert_eq!(exec(&["one", "hostname"]).trim(), &id[..12]);
    assert_eq!(world.result(&["exec", "one", "/none"]).0, 127);
    world.refuses(&["rm", "one"], &["one"]);
    world.refuses(&["start", "one"], &["one"]);
    assert!(!groups(&id).is_empty());
    let pid = process(&world, &id);
    assert_eq!(world.runs(&["rm", "-f", "one"]), "one\n");
    assert_eq!(running.end().0, Some(137));
    assert!(!is_alive(pid) && groups(&id).is_empty());
    world.refuses(&["exec", "one", "true"], &["one", "hint: "]);
    world.is_clean();
}

#[test]
fn privileged_a_user_executes_in_a_running_one() {
    for who in [Who::User, Who::UserWithOneId] {
        let world = World::new(who);
        let running = waits(&world, &["--rm", "--name", "one"]);
        let said = world.result(&["exec", "one", "sh", "-c", "id -u; pwd; exit 9"]);
        assert_eq!(said, (9, "0\n/\n".into(), String::new()), "{who:?}");
        // Control groups of version 1 are root's alone: a limit is refused, not left out.
        if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            let limited = ["run", "--rm", "--memory", "32m", "box", "true"];
            world.refuses(&limited, &["control groups", "hint: "]);
        }
        running.signal("TERM");
        assert_eq!(running.end(), (Some(5), "term\n".into()));
        world.is_clean();
    }
}

#[test]
fn privileged_what_containers_use_stays() {
    let world = World::new(Who::Root);
    world.runs(&["run", "--name", "user", "box", "sh", "-c", "echo changed > /made"]);
    world.refuses(&["rmi", "box"], &["user"]);
    world.runs(&["prune", "--all"]);
    assert_eq!(world.runs(&["fsck"]), "the store is whole\n");
    assert_eq!(world.result(&["start", "user"]).0, 0);
    world.runs(&["rm", "user"]);
    world.runs(&["rmi", "box"]);
    world.runs(&["prune", "--all"]);
    assert_eq!(world.runs(&["images", "--format", "json"]).trim(), "[]");
    world.is_clean();
}

#[test]
fn privileged_many_at_once() {
    let world = World::new(Who::Root);
    let run = |number: usize| {
        let script = format!("echo {number}; exit {number}");
        let arguments = ["run", "--rm", "box", "sh", "-c", &script];
        world.command(&arguments).stdout(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..16).map(run).collect();
    for (number, child) in children.into_iter().enumerate() {
        let (code, said, _) = containers::result(child.wait_with_output().unwrap());
        assert_eq!((code, said), (i32::try_from(number).unwrap(), format!("{number}\n")));
    }
    world.is_clean();
}

/// `creel run` is killed: the next command puts its container away.
fn killed(who: Who) {
    let world = World::new(who);
    for options in [&["--rm"][..], &["--name", "stays"]] {
        let running = waits(&world, options);
        let id = world.runs(&["ps", "-q"]).trim().to_owned();
        let pid = process(&world, &id);
        running.signal("KILL");
        // Its output ends when the last process of the container has.
        world.runs(&["run", "--rm", "box", "true"]);
        assert_eq!(running.end().0, None);
        until("the process ends", || !is_alive(pid));
        assert_eq!(groups(&id), Vec::<PathBuf>::new());
    }
    assert!(world.runs(&["ps", "-a"]).contains("exited with 137"));
    world.runs(&["rm", "stays"]);
    world.is_clean();
}

#[test]
fn privileged_a_killed_run_is_put_away() {
    killed(Who::Root);
}

/// Its `creel run` was killed, and its process still writes: it is ended before its files are used
/// again, or removed.
fn lost(who: Who) {
    const WRITES: &str = "test -e /tmp/again && exit 3; mkdir -p /tmp; touch /tmp/again; echo ready; \
        while :; do echo x >> /tmp/log; sleep 0.02; done";
    let world = World::new(who);
    world.runs(&["run", "--name", "base", "box", "sh", "-c", "mkdir -p /tmp; chmod 1777 /tmp"]);
    world.runs(&["commit", "base", "open"]);
    world.runs(&["rm", "base"]);
    for user in ["0", "7"] {
        let begin = || {
            let run = ["run", "--name", "one", "-u", user, "open", "sh", "-c", WRITES];
            let running = world.background(&run);
            let pid = process(&world, world.runs(&["ps", "-q"]).trim());
            running.signal("KILL");
            until("creel ends", || world.runs(&["ps"]).contains("lost, but process"));
            assert!(is_alive(pid));
            (running, pid)
        };
        let (running, pid) = begin();
        world.refuses(&["commit", "one", "new"], &["still runs", "creel doctor --fix"]);
        assert_eq!(world.result(&["start", "one"]).0, 3);
        assert!(!is_alive(pid), "{who:?} {user}");
        drop(running);
        world.runs(&["rm", "one"]);
        let (running, pid) = begin();
        assert_eq!(world.runs(&["rm", "one"]), "one\n");
        assert!(!is_alive(pid), "{who:?} {user}");
        drop(running);
    }
    world.is_clean();
}

#[test]
fn privileged_a_lost_process_ends_before_its_files_are_touched() {
    lost(Who::Root);
}

#[test]
fn privileged_a_lost_process_of_a_user_ends_before_its_files_are_touched() {
    lost(Who::User);
}

/// Killed at any point of its start, a run leaves nothing that the next command does not remove.
#[test]
fn privileged_a_run_killed_while_it_starts_leaves_nothing() {
    let world = World::new(Who::Root);
    for tenths in 0..60 {
        let mut run = world.command(&["run", "--rm", "box", "sleep", "0.02"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(5_000 + tenths * 1_000));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    // Until then something that was killed between two system calls may be about to go on.
    std::thread::sleep(std::time::Duration::from_secs(4));
    world.runs(&["run", "--rm", "box", "true"]);
    world.is_clean();
    assert_eq!(world.runs(&["fsck"]), "the store is whole\n");
}

/// What was left before the system was started again has no run-time files that tell of it.
#[test]
fn privileged_what_is_half_made_goes_at_once_or_after_a_while() {
    let world = World::new(Who::Root);
    let id = |digit: &str| digit.repeat(64);
    let make = |digit: &str, lock: Option<&str>| {
        let directory = world.path("store/containers").join(id(digit));
        std::fs::create_dir_all(directory.join("upper/deep")).unwrap();
        if let Some(text) = lock {
            std::fs::write(directory.join("lock"), text).unwrap();
        }
    };
    world.runs(&["ps"]);
    make("a", Some("         1\n"));
    make("b", Some(""));
    make("c", None);
    let names = world.path("store/containers/names");
    std::fs::create_dir_all(&names).unwrap();
    std::os::unix::fs::symlink(id("a"), names.join("stale")).unwrap();
    let left =
        || ["a", "b", "c"].map(|digit| world.path("store/containers").join(id(digit)).exists());
    // The first one looks everywhere; what may be about to be locked has time.
    world.runs(&["run", "--rm", "box", "true"]);
    assert_eq!(left(), [false, true, true]);
    world.runs(&["doctor", "--fix"]);
    world.is_clean();
    // Later ones look at those with run-time files.
    make("b", None);
    std::fs::create_dir(world.runs_directory().join(id("b"))).unwrap();
    world.runs(&["run", "--rm", "box", "true"]);
    assert_eq!(left(), [false, true, false]);
    std::thread::sleep(std::time::Duration::from_secs(4));
    world.runs(&["run", "--rm", "box", "true"]);
    world.is_clean();
}

/// Stores that share a run directory leave each other's containers alone.
#[test]
fn privileged_another_store_puts_nothing_of_this_one_away() {
    let world = World::new(Who::Root);
    let running = waits(&world, &["--rm", "--name", "one"]);
    let other = world.path("other");
    let mut command = world.command(&["run", "--rm", "host:", "true"]);
    assert!(command.env("CREEL_STORE", &other).output().unwrap().status.success());
    assert_eq!(world.runs(&["exec", "one", "echo", "here"]), "here\n");
    running.signal("TERM");
    assert_eq!(running.end().0, Some(5));
    world.is_clean();
}

/// Several commands at once find what killed ones have left.
#[test]
fn privileged_many_put_away_what_was_killed() {
    let world = World::new(Who::Root);
    for _ in 0..3 {
        let killed: Vec<_> = (0..4).map(|_| waits(&world, &["--rm"])).collect();
        killed.iter().for_each(|running| running.signal("KILL"));
        let run = || world.command(&["run", "--rm", "box", "true"]).stderr(Stdio::piped()).spawn();
        let children: Vec<_> = (0..8).map(|_| run().unwrap()).collect();
        for child in children {
            let (code, _, error) = containers::result(child.wait_with_output().unwrap());
            assert_eq!((code, error.as_str()), (0, ""));
        }
        assert!(killed.into_iter().all(|running| running.end().0.is_none()));
    }
    world.is_clean();
}

/// Of more containers than there are digits, two begin with the same one.
#[test]
fn privileged_an_id_that_is_not_whole_may_be_of_several() {
    let world = World::new(Who::Root);
    for _ in 0..17 {
        world.runs(&["run", "box", "true"]);
    }
    let ids = world.ids();
    let both = |id: &String| ids.iter().filter(|other| other[..1] == id[..1]).cloned().collect();
    let several: Vec<String> =
        ids.iter().map(both).find(|several: &Vec<_>| several.len() > 1).unwrap();
    let words: Vec<&str> = several.iter().take(2).map(|id| &id[..12]).collect();
    world.refuses(&["rm", &several[0][..1]], &[&words[..], &["hint: write more digits"]].concat());
    assert_eq!(world.ids().len(), 17);
}

#[test]
fn privileged_what_does_not_start_stays_as_created() {
    let world = World::new(Who::Root);
    assert_eq!(world.result(&["run", "--name", "one", "box", "/none"]).0, 127);
    world.runs(&["run", "--rm", "box", "true"]);
    let listed = world.runs(&["ps", "-a"]);
    assert!(listed.contains("created") && !listed.contains("exited"), "{listed}");
    world.runs(&["rm", "one"]);
    world.is_clean();
}

#[test]
fn privileged_a_killed_run_of_a_user_is_put_away() {
    killed(Who::User);
}
