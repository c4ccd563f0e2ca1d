//! Another program runs containers by this library; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod common;

use std::fs;
use std::process::{Command, Stdio};

use common::{root, spec};
use creel_runtime::spec::{Root, Spec};

#[test]
fn privileged_a_program_with_threads_runs_containers() {
    let (bundle, root) = (tempfile::tempdir().unwrap(), root());
    let root = Some(Root { path: root.path().into(), readonly: false });
    let spec = Spec { root, ..spec("exit 3") };
    fs::write(bundle.path().join("config.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().parent().unwrap().join("examples/containers");
    let states = bundle.path().join("states");
    let run = Command::new(example)
        .args([&states, bundle.path()])
        .arg("16")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(String::from_utf8(run.stdout).unwrap(), "3 5\n".repeat(16));
    assert_eq!(fs::read_dir(states).unwrap().count(), 0);
}
