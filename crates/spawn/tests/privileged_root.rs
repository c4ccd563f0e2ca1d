//! Roots made of layers; needs root and a static `/bin/busybox`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use creel_spawn::userns::{self, IdMaps};
use creel_spawn::{
    Capabilities, IdMap, Mount, Namespace, Overlay, Plan, Process, Root, Source, Upper, mount,
};

/// A file system that can hold an upper directory wherever the test runs, and is gone with it.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(dir.path())
            .status();
        assert!(done.unwrap().success());
        Self(dir)
    }

    fn dir(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn layers(scratch: &Scratch, count: usize) -> Vec<PathBuf> {
    let base = scratch.dir("base/bin");
    fs::copy("/bin/busybox", base.join("busybox")).unwrap();
    for name in ["sh", "cat", "ls", "mknod", "rm"] {
        // The layers of one test are made again for each of its cases.
        let _ = symlink("busybox", base.join(name));
    }
    for name in ["proc", "tmp", "old"] {
        scratch.dir(&format!("base/{name}"));
    }
    fs::write(scratch.dir("base").join("old/file"), "base").unwrap();
    let mut lowers: Vec<_> = (1..count)
        .map(|number| {
            let layer = scratch.dir(&format!("{}/{number}", "long".repeat(60)));
            fs::write(layer.join(format!("from-{number}")), number.to_string()).unwrap();
            layer
        })
        .collect();
    lowers.push(scratch.dir("base"));
    lowers
}

fn plan(root: Root, script: &str) -> Plan {
    let process = Process {
        cwd: "/".into(),
        candidates: vec!["/bin/sh".into()],
        argv: ["sh", "-c", script].map(String::from).to_vec(),
        env: vec!["PATH=/bin".into()],
        ..Process::default()
    };
    let mounts = vec![Mount::new(Source::Proc, "/proc", 0)];
    Plan { root, namespaces: Namespace::ROOT.to_vec(), mounts, process, ..Plan::default() }
}

fn code(plan: &Plan) -> i32 {
    match plan.spawn() {
        Ok(child) => child.wait().unwrap(),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn mounted_overlays(below: &Path) -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let below = below.display().to_string();
    mounts.lines().filter(|line| line.contains(&below) && line.contains("overlay")).count()
}

#[test]
fn privileged_layers_are_stacked_and_nothing_leaks() {
    let scratch = Scratch::new();
    for (classic, volatile, count) in [(false, false, 2), (false, true, 120), (true, true, 60)] {
        let lowers = layers(&scratch, count);
        let [upper, work] = ["upper", "work"].map(|name| scratch.dir(&format!("{count}/{name}")));
        let top = Upper { upper: upper.clone(), work, volatile };
        let script = format!(
            "set -e; [ $(cat /from-{}) = {} ]; [ $(cat /old/file) = base ]; echo new > /made; \
             rm -r /old",
            count - 1,
            count - 1
        );
        let overlay = Overlay { classic, ..Overlay::new(lowers, Some(top)) };
        assert_eq!(code(&plan(Root::Overlay(overlay), &script)), 0, "{count}");
        assert_eq!(fs::read_to_string(upper.join("made")).unwrap(), "new\n");
        assert!(upper.join("old").symlink_metadata().is_ok(), "no whiteout");
        assert_eq!(mounted_overlays(scratch.0.path()), 0);
    }
}

#[test]
fn privileged_an_overlay_without_an_upper_is_read_only() {
    let scratch = Scratch::new();
    let lowers = layers(&scratch, 2);
    for classic in [false, true] {
        let overlay = Overlay { classic, ..Overlay::new(lowers.clone(), None) };
        assert_eq!(code(&plan(Root::Overlay(overlay), "! echo > /made")), 0);
    }
}

#[test]
fn privileged_a_silently_read_only_overlay_is_refused() {
    let scratch = Scratch::new();
    let lowers = layers(&scratch, 2);
    let [upper, work] = ["upper", "work"].map(|name| scratch.dir(name));
    // What the kernel cannot remove it works around by mounting read-only.
    fs::create_dir_all(work.join("work")).unwrap();
    let keep = work.join("work/busy");
    fs::create_dir(&keep).unwrap();
    let busy =
        std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&keep).status();
    assert!(busy.unwrap().success());
    let overlay = Overlay::new(lowers, Some(Upper { upper, work, volatile: false }));
    let started = plan(Root::Overlay(overlay), "exit 0").spawn();
    assert!(std::process::Command::new("umount").arg(&keep).status().unwrap().success());
    let error = started.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("Read-only") || source.contains("busy"), "{error}: {source}");
}

#[test]
fn privileged_devices_of_an_image_do_not_work() {
    let scratch = Scratch::new();
    let lowers = layers(&scratch, 1);
    let node = lowers[0].join("null");
    let made = std::process::Command::new("mknod").arg(&node).args(["c", "1", "3"]).status();
    assert!(made.unwrap().success());
    let [upper, work] = ["upper", "work"].map(|name| scratch.dir(name));
    let top = Some(Upper { upper, work, volatile: false });
    // With CAP_MKNOD and CAP_DAC_OVERRIDE, neither the image's node nor one made here opens.
    let script = "rm -f /own && mknod /own c 1 3 && ! cat /null && ! cat /own";
    for root in [Root::directory(&lowers[0]), Root::Overlay(Overlay::new(lowers.clone(), top))] {
        let mut plan = plan(root, script);
        let sets = vec![1, 27];
        plan.process.capabilities = Capabilities {
            bounding: sets.clone(),
            permitted: sets.clone(),
            effective: sets,
            ..Capabilities::default()
        };
        assert_eq!(code(&plan), 0);
    }
}

#[test]
fn privileged_idmapped_layers_belong_to_the_containers_root() {
    let scratch = Scratch::new();
    let lowers = layers(&scratch, 3);
    let map = IdMap { inside: 0, outside: 500_000, count: 65_536 };
    let maps = IdMaps { uids: vec![map], gids: vec![map] };
    let namespace = userns::namespace(&maps).unwrap();
    let idmapped = |path: &PathBuf| {
        std::sync::Arc::new(mount::idmapped(path, mount::READ_ONLY, namespace.as_fd()).unwrap())
    };
    let [upper, work] = ["upper", "work"].map(|name| scratch.dir(name));
    for path in [&upper, &work] {
        std::os::unix::fs::chown(path, Some(500_000), Some(500_000)).unwrap();
    }
    let top = Upper { upper: upper.clone(), work, volatile: false };
    let mut overlay = Overlay::new(Vec::new(), Some(top));
    overlay.mounts = lowers.iter().map(idmapped).collect();
    overlay.user_xattrs = true;
    let script = "[ -O /old/file ] && [ -O /from-1 ] && echo new > /old/file && echo > /made";
    let mut plan = plan(Root::Overlay(overlay), script);
    plan.namespaces.push(Namespace::User);
    (plan.uids, plan.gids) = (maps.uids, maps.gids);
    assert_eq!(code(&plan), 0);
    use std::os::unix::fs::MetadataExt as _;
    for name in ["made", "old/file"] {
        assert_eq!(fs::metadata(upper.join(name)).unwrap().uid(), 500_000, "{name}");
    }
    assert_eq!(fs::read_to_string(lowers[2].join("old/file")).unwrap(), "base");
}

/// The ids of the container may not even reach what it is made of.
#[test]
fn privileged_what_is_closed_to_the_containers_ids_is_taken_before() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new();
    let root = layers(&scratch, 1).remove(0);
    let inside = scratch.dir("closed/root");
    fs::rename(root, &inside).unwrap();
    fs::write(scratch.dir("closed").join("bound"), "bound").unwrap();
    fs::set_permissions(scratch.dir("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&inside, Some(500_000), Some(500_000)).unwrap();
    let script = "cat /bound && [ ! -O /bound ] && echo > /made && [ -O /made ]";
    let mut plan = plan(Root::directory(&inside), script);
    plan.mounts.push(Mount::new(Source::Bind(scratch.dir("closed").join("bound")), "/bound", 0));
    plan.namespaces.push(Namespace::User);
    let map = IdMap { inside: 0, outside: 500_000, count: 65_536 };
    (plan.uids, plan.gids) = (vec![map], vec![map]);
    assert_eq!(code(&plan), 0);
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(fs::metadata(inside.join("made")).unwrap().uid(), 500_000);
}
