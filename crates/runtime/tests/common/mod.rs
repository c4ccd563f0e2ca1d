//! A container with a static `/bin/busybox`.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // not every test uses all of it

use std::fs;
use std::os::unix::fs::symlink;

use creel_runtime::container::Running;
use creel_runtime::defaults;
use creel_runtime::lower::{Options, lower};
use creel_runtime::seccomp::Filter;
use creel_runtime::spec::{Process, Spec};
use creel_spawn::Root;

const APPLETS: &str = "sh cat grep ls readlink stat touch unshare dmesg sleep tty id hostname head \
                       mount sha256sum echo true kill wc";

/// A root directory.
pub(crate) fn root() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    fs::copy("/bin/busybox", dir.path().join("bin/busybox")).unwrap();
    for name in APPLETS.split_whitespace() {
        symlink("busybox", dir.path().join("bin").join(name)).unwrap();
    }
    dir
}

/// The default process with a shell script.
pub(crate) fn process(script: &str) -> Process {
    Process {
        args: ["sh", "-c", script].map(String::from).to_vec(),
        env: vec!["PATH=/bin".into()],
        ..defaults::spec().process.unwrap()
    }
}

/// The default container with a shell script.
pub(crate) fn spec(script: &str) -> Spec {
    Spec { process: Some(process(script)), ..defaults::spec() }
}

/// The default options, with a directory as the root.
pub(crate) fn options(root: &tempfile::TempDir) -> Options {
    let root = Some(Root::directory(root.path()));
    Options { root, seccomp: Filter::Default, ..Options::default() }
}

/// Starts a container.
pub(crate) fn start(spec: &Spec, options: &Options) -> Running {
    let plan = lower(spec, options).unwrap();
    Running::start(&plan)
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

/// The exit code of a container.
pub(crate) fn code(spec: &Spec, options: &Options) -> i32 {
    start(spec, options).wait().unwrap()
}
