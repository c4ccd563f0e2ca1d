//! A start that fails. Alone in its program, whose descriptors and mounts are counted.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{options, root, spec};
use creel_runtime::lower::lower;
use creel_spawn::Root;

/// A failed start leaves nothing: no process, no mount, no descriptor.
#[test]
fn privileged_a_failed_start_leaves_nothing() {
    let root = root();
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let before = (open(), mounts());
    for cwd in ["/bin/sh/x", "/proc/none"] {
        let mut spec = spec("exit 0");
        spec.process.as_mut().unwrap().cwd = cwd.into();
        assert!(lower(&spec, &options(&root)).unwrap().spawn().is_err(), "{cwd}");
    }
    let mut options = options(&root);
    options.root = Some(Root::directory("/does/not/exist"));
    assert!(lower(&spec("exit 0"), &options).unwrap().spawn().is_err());
    assert_eq!((open(), mounts()), before);
}
