//! What runs leave whose `creel` was killed or stopped, and who puts it away.
#![allow(clippy::unwrap_used)]

mod containers;

use std::path::PathBuf;
use std::process::Stdio;

use containers::processes::{groups, is_alive, process, waits};
use containers::{Who, World, until};

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
    // No other process of the machine has this argument.
    let seconds = format!("7{:09}", std::process::id());
    for tenths in 0..60 {
        let mut run = world.command(&["run", "--rm", "box", "sleep", &seconds]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(5_000 + tenths * 1_000));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    // Until then something that was killed between two system calls may be about to go on.
    std::thread::sleep(std::time::Duration::from_secs(4));
    world.runs(&["run", "--rm", "box", "true"]);
    assert_eq!(with_argument(&seconds), Vec::<PathBuf>::new());
    world.is_clean();
    assert_eq!(world.runs(&["fsck"]), "the store is whole\n");
}

/// The processes that have an argument.
fn with_argument(wanted: &str) -> Vec<PathBuf> {
    let has = |process: &PathBuf| {
        let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes.filter(has).collect()
}

/// Its creel is killed when the process has just begun, and nobody was told yet that it has.
#[test]
fn privileged_a_process_that_has_just_begun_is_found() {
    let world = World::new(Who::Root);
    for (options, ends) in [
        (&["--name", "one"][..], &["rm", "one"][..]),
        (&["--rm", "--name", "one"], &["run", "--rm", "box", "true"]),
    ] {
        let running = waits(&world, options);
        let id = world.runs(&["ps", "-q"]).trim().to_owned();
        let pid = process(&world, &id);
        let run = world.runs_directory().join(id);
        std::fs::rename(run.join("process.json"), run.join("starting.json")).unwrap();
        // Its root may still be the host's.
        world.refuses(&["exec", "one", "true"], &["busy"]);
        running.signal("KILL");
        until("creel ends", || world.runs(&["ps"]).contains("lost, but process"));
        world.runs(ends);
        assert!(!is_alive(pid));
        drop(running);
        world.is_clean();
    }
}

/// A `creel` that was stopped would never put its container away.
#[test]
fn privileged_a_stopped_creel_is_let_go_on() {
    for who in [Who::Root, Who::User] {
        let world = World::new(who);
        for options in [&["--name", "one"][..], &["--rm", "--name", "one"]] {
            let running = waits(&world, options);
            running.signal("STOP");
            until("the program stops", || running.state() == 'T');
            assert_eq!(world.runs(&["rm", "-f", "one"]), "one\n", "{who:?}");
            assert_eq!(running.end().0, Some(137));
        }
        world.is_clean();
    }
}

/// What cannot be put away keeps nobody from running something else.
#[test]
fn privileged_remains_that_stay_are_in_nobodys_way() {
    let world = World::new(Who::Root);
    for (options, hinder, mend) in [
        // A file cannot take the place of a directory, and what is mounted is not emptied.
        (&["--name", "one"][..], "mkdir -p exit.json/in", "rm -r exit.json"),
        (&["--rm"], "mkdir held; mount -t tmpfs none held", "umount held"),
    ] {
        let running = waits(&world, options);
        let id = world.runs(&["ps", "-q"]).trim().to_owned();
        let remains = world.store.join("containers").join(id);
        let remains = remains.to_str().unwrap();
        containers::sh(&format!("cd {remains}; {hinder}"));
        running.signal("KILL");
        until("creel ends", || world.runs(&["ps"]).contains("lost"));
        let (code, said, error) = world.result(&["run", "--rm", "box", "echo", "runs"]);
        assert_eq!((code, said.as_str()), (0, "runs\n"), "{error}");
        assert!(error.starts_with("note: ") && error.contains(remains), "{error}");
        world.refuses(&["doctor", "--fix"], &[remains]);
        containers::sh(&format!("cd {remains}; {mend}"));
        assert_eq!(world.result(&["run", "--rm", "box", "true"]), (0, "".into(), "".into()));
    }
    world.runs(&["rm", "one"]);
    world.is_clean();
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

#[test]
fn privileged_a_killed_run_of_a_user_is_put_away() {
    killed(Who::User);
}
