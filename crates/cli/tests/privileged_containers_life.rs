//! Containers that stay, and that are many.
#![allow(clippy::unwrap_used)]

mod containers;

use std::path::Path;
use std::process::Stdio;

use containers::processes::{groups, is_alive, process, waits};
use containers::{INIT, Who, World};

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
    world.refuses(
        &["exec", "-u", "x", "one", "true"],
        &["container `one` has no user `x`", "creel exec one cat /etc/passwd"],
    );
    world.refuses(&["exec", "-u", "0:x", "one", "true"], &["has no group `x`", "cat /etc/group"]);
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
