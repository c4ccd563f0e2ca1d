//! The running system as the root of a container: what is changed in it stays out of the system.
#![allow(clippy::unwrap_used)]

mod containers;

use std::path::Path;

use containers::{Who, World};

/// A name that no other test of this machine writes.
fn name(what: &str) -> String {
    format!("/var/tmp/creel-test-{what}-{}", std::process::id())
}

/// `run OPTIONS host: sh -c SCRIPT`: the code and the output. What cannot be changed is told in notes.
fn host(world: &World, options: &[&str], script: &str) -> (i32, String) {
    let (code, said, error) =
        world.result(&[&["run"], options, &["host:", "sh", "-c", script]].concat());
    assert!(!error.contains("error: "), "{error}");
    (code, said)
}

#[test]
fn privileged_changes_do_not_reach_the_system() {
    for who in [Who::Root, Who::User] {
        let world = World::new(who);
        let made = name("made");
        let script = format!("echo changed > {made} && cat {made} && exit 7");
        assert_eq!(host(&world, &["--rm"], &script), (7, "changed\n".into()), "{who:?}");
        assert!(!Path::new(&made).exists(), "{who:?}");
        world.is_clean();
    }
}

#[test]
fn privileged_changes_stay_in_the_container() {
    let world = World::new(Who::Root);
    let made = name("kept");
    assert_eq!(host(&world, &["--name", "one"], &format!("echo kept > {made}")).0, 0);
    assert!(world.runs(&["diff", "one"]).contains(&made));
    world.runs(&["start", "one"]);
    assert!(!Path::new(&made).exists());
    world.runs(&["rm", "one"]);
    world.is_clean();
}

/// A place that something was mounted at is not there any more when the container starts again.
#[test]
fn privileged_a_mount_that_has_gone_is_left_out() {
    let world = World::new(Who::Root);
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = place.path().to_owned();
    let mounted = |command: &str, arguments: &[&str]| {
        let status = std::process::Command::new(command).args(arguments).arg(&path).status();
        assert!(status.unwrap().success(), "{command}");
    };
    mounted("mount", &["-t", "tmpfs", "tmpfs"]);
    let script = format!("test -d {0} && echo {0} || echo gone", path.display());
    let seen = host(&world, &["--name", "one"], &script);
    mounted("umount", &[]);
    assert_eq!(seen, (0, format!("{}\n", path.display())));
    drop(place);
    assert_eq!(world.runs(&["start", "one"]), "gone\n");
    world.runs(&["rm", "one"]);
    world.is_clean();
}

#[test]
fn privileged_the_system_is_seen_as_it_is() {
    let world = World::new(Who::Root);
    let system =
        |command| String::from_utf8(std::process::Command::new(command).output().unwrap().stdout);
    assert_eq!(host(&world, &["--rm"], "hostname").1, system("hostname").unwrap());
    assert_eq!(
        host(&world, &["--rm"], "cat /etc/passwd").1,
        std::fs::read_to_string("/etc/passwd").unwrap()
    );
    // A dry run leaves nothing either.
    assert!(world.runs(&["run", "--explain", "host:", "true"]).contains("execute"));
    world.is_clean();
}
