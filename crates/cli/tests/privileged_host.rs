//! The running system as the root of a container: what is changed in it stays out of the system.
#![allow(clippy::unwrap_used)]

mod containers;

use std::path::Path;

use containers::{Who, World, sh};

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
    // Unlike that of the users, nobody changes this file meanwhile.
    assert_eq!(
        host(&world, &["--rm"], "cat /etc/os-release").1,
        std::fs::read_to_string("/etc/os-release").unwrap()
    );
    // A dry run leaves nothing either.
    assert!(world.runs(&["run", "--explain", "host:", "true"]).contains("execute"));
    world.is_clean();
}

/// Mounts at places of this test, gone with the value.
struct Mounts(tempfile::TempDir);

impl Mounts {
    fn make(script: &str) -> Self {
        let place = tempfile::tempdir_in("/var/tmp").unwrap();
        sh(&format!("cd {}; {script}", place.path().display()));
        Self(place)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let own = self.0.path().to_str().unwrap();
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = table.lines().filter_map(|line| line.split(' ').nth(4));
        for mount in mounts.filter(|path| path.starts_with(own)).collect::<Vec<_>>().iter().rev() {
            let _ = std::process::Command::new("umount").args(["-l", mount]).status();
        }
    }
}

/// Another procfs, and more overlays on one another than the kernel stacks.
#[test]
fn privileged_what_cannot_be_stacked_is_left_out() {
    let world = World::new(Who::Root);
    let mounts = Mounts::make(
        "mkdir proc memory one two; mount -t proc proc proc; mount -t tmpfs none memory; \
         mkdir memory/a memory/u memory/w memory/v memory/x; echo seen > memory/a/file; \
         mount -t overlay -o lowerdir=memory/a,upperdir=memory/u,workdir=memory/w none one; \
         mount -t overlay -o lowerdir=one,upperdir=memory/v,workdir=memory/x none two",
    );
    let script = format!("cat {}; test -e {}", mounts.path("one/file"), mounts.path("two/file"));
    let (code, said, error) = world.result(&["run", "--rm", "host:", "sh", "-c", &script]);
    assert_eq!((code, said.as_str()), (1, "seen\n"), "{error}");
    for left_out in ["proc", "two"] {
        let note = format!("note: not in the container: `{}`: ", mounts.path(left_out));
        assert!(error.contains(&note), "{error}");
    }
    world.is_clean();
}

#[test]
fn privileged_a_file_that_is_mounted_on_another_is_seen() {
    for who in [Who::Root, Who::User] {
        let world = World::new(who);
        let mounts = Mounts::make(
            "chmod 755 .; echo shown > above; echo hidden > file; mount --bind above file",
        );
        let file = mounts.path("file");
        let script = format!("cat {file}; echo changed > {file} || echo refused");
        assert_eq!(host(&world, &["--rm"], &script), (0, "shown\nrefused\n".into()), "{who:?}");
        assert_eq!(std::fs::read_to_string(mounts.path("above")).unwrap(), "shown\n");
        world.is_clean();
    }
}

/// Services of the host listen in `/run`.
#[test]
fn privileged_nothing_in_run_is_reached() {
    let socket = format!("/run/creel-test-{}", std::process::id());
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    sh(&format!("chmod 777 {socket}"));
    for who in [Who::Root, Who::User] {
        let world = World::new(who);
        let script = format!("test -d /run && ! test -e {socket} && : > /run/own && ls -A /run");
        assert_eq!(host(&world, &["--rm"], &script).1.lines().last(), Some("own"), "{who:?}");
        world.is_clean();
    }
    std::fs::remove_file(socket).unwrap();
}

/// What other run directories have mounted is no concern of who runs something.
#[test]
fn privileged_trees_of_others_are_not_told_of() {
    let (world, other) = (World::new(Who::Root), World::new(Who::Root));
    other.runs(&["run", "--rm", "box", "true"]);
    let trees = other.path("run/trees").to_str().unwrap().to_owned();
    assert!(std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&trees));
    let (code, _, error) = world.result(&["run", "--rm", "host:", "true"]);
    assert!(code == 0 && !error.contains(&trees), "{error}");
    world.is_clean();
}
