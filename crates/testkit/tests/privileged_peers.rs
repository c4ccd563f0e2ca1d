//! The images made here are images to the other tools too; and a session leaves nothing behind.
#![allow(clippy::unwrap_used)]

use creel_testkit::busybox;
use creel_testkit::peers::Peers;

#[test]
fn other_tools_read_and_run_the_busybox_image() {
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    busybox::image().unwrap().write(&layout, "latest").unwrap();
    let session = Peers::from_env().unwrap().enter(&[directory.path()]).unwrap();
    let layout = format!("{}:latest", layout.display());
    let bundle = directory.path().join("bundle").display().to_string();
    session.run(&["skopeo", "inspect", &format!("oci:{layout}")]).unwrap();
    session.run(&["umoci", "unpack", "--image", &layout, &bundle]).unwrap();
    let storage = format!("--root={}/podman", directory.path().display());
    let run = ["podman", &storage, "run", "--rm", "--network=none", &format!("oci:{layout}")];
    let echo = ["echo", "hello"];
    assert_eq!(session.run(&[&run[..], &echo[..]].concat()).unwrap(), "hello\n");
}

#[test]
fn what_a_session_leaves_running_is_killed() {
    let session = Peers::from_env().unwrap().enter(&[]).unwrap();
    let mut sleeper = session.command(&["sleep", "1000"]).spawn().unwrap();
    drop(session);
    assert!(!sleeper.wait().unwrap().success());
}
