//! The same sample in every setting a store can be in. Needs root, Linux 6.12 with
//! `EROFS_FS_BACKED_BY_FILE`, a `/var/tmp` that is neither tmpfs nor overlayfs, a tmpfs at
//! `/dev/shm`, and the packages erofs-utils, uidmap and util-linux.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod settings;

use std::collections::HashSet;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

use creel_codec::tree::Kind;
use creel_store::{Backend, Backing, KernelProbe, Owners, Store, StoreError};
use settings::{ROOT, Setting, base, check, ingest};

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run `{program}`: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

fn create(dir: &Path, backend: Backend) -> Store {
    let store = Store::create(&dir.join("store"), &KernelProbe, Vec::new()).unwrap();
    assert_eq!(store.description().backend, backend);
    store
}

#[test]
fn privileged_packed() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let store = create(dir.path(), Backend::Packed);
    let mut mounts = Vec::new();
    check(&store, ROOT, |tree| {
        let mount = store.mount(tree).unwrap();
        let path = format!("/proc/self/fd/{}", mount.as_raw_fd());
        mounts.push(mount);
        path
    });
}

/// As before Linux 6.12, where only block devices are mounted.
#[test]
fn privileged_packed_through_loop_devices() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let store = create(dir.path(), Backend::Packed);
    let mut mounts = Vec::new();
    check(&store, ROOT, |tree| {
        for _ in 0..2 {
            mounts.push(store.mount_with(tree, Backing::Loop).unwrap());
        }
        format!("/proc/self/fd/{}", mounts.last().unwrap().as_raw_fd())
    });
    let files = devices_of(store.path());
    // An image for each of the two trees, and one pack: the upper layer has no large file of its own.
    assert_eq!(files.len(), 3, "{files:?}");
    let unique: HashSet<_> = files.iter().collect();
    assert_eq!(unique.len(), files.len(), "a file has one device");
    drop(mounts);
    // The kernel lets go in its own time.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !devices_of(store.path()).is_empty() {
        assert!(std::time::Instant::now() < deadline, "devices stay");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The files below `path` that loop devices show.
fn devices_of(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/sys/block").unwrap();
    let file = |entry: std::fs::DirEntry| {
        std::fs::read_to_string(entry.path().join("loop/backing_file")).ok()
    };
    let files = entries.filter_map(|entry| file(entry.unwrap()));
    files.filter(|file| file.starts_with(path.to_str().unwrap())).collect()
}

/// `fsck.erofs --extract` gives the contents that went in.
#[test]
fn privileged_images_pass_fsck() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let store = create(dir.path(), Backend::Packed);
    let layer = ingest(&store, &base(ROOT), Owners::AsInTree);
    let image = store.image(&layer.tree).unwrap();
    let devices: Vec<_> = image
        .packs()
        .iter()
        .map(|pack| format!("--device={}/objects/pack-{pack}.pack", store.path().display()))
        .collect();
    let out = dir.path().join("out");
    let extract = format!("--extract={}", out.display());
    let mut arguments: Vec<&str> = devices.iter().map(String::as_str).collect();
    arguments.extend([&*extract, "--preserve", image.path().to_str().unwrap()]);
    run("fsck.erofs", &arguments);
    let dir = creel_base::path::Dir::open(&out).unwrap();
    let found = creel_store::scan(&dir, creel_store::Origin::Directory, Owners::AsInTree).unwrap();
    let tree = store.tree(&layer.tree).unwrap();
    assert_eq!(found.entries.len(), tree.entries.len());
    for (number, entry) in tree.entries.iter().enumerate() {
        let name = entry.path.escape_ascii();
        let found = found.inode(found.find(&entry.path).unwrap()).unwrap();
        let expected = tree.inode(number).unwrap();
        if !matches!(expected.kind, Kind::Directory { .. }) {
            assert_eq!(found.kind, expected.kind, "{name}");
        }
        assert_eq!(
            (found.meta.uid, found.meta.gid, found.meta.mtime_s),
            (expected.meta.uid, expected.meta.gid, expected.meta.mtime_s),
            "{name}"
        );
    }
}

#[test]
fn privileged_loose_as_root() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let store = create(dir.path(), Backend::Loose);
    check(&store, ROOT, |tree| store.directory(tree).unwrap().to_str().unwrap().to_owned());
}

/// Run in a user namespace by the tests below.
#[test]
#[ignore = "run by `privileged_loose_as_a_user`"]
fn as_a_user() {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let one = map.lines().count() == 1;
    let owners = if one { Owners::Caller } else { Owners::AsInTree };
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path(), Backend::Loose);
    let setting = Setting { owners, initial: false };
    check(&store, setting, |tree| store.directory(tree).unwrap().to_str().unwrap().to_owned());
    let foreign = creel_testkit::tar::Entry::file("far", b"far").owner(3_000_000, 0);
    let foreign = creel_testkit::tar::Tar::new().with(foreign).finish();
    let transaction = store.begin().unwrap();
    let mut writer = transaction.layer(Default::default(), Owners::AsInTree).unwrap();
    writer.feed(&foreign).unwrap();
    let error = writer.finish(None, &[]).unwrap_err();
    assert!(matches!(error, StoreError::NotMapped { uid: 3_000_000, .. }), "{error}");
    drop(transaction);
    assert_eq!(std::fs::read_dir(store.path().join("checkouts")).unwrap().count(), 3);
}

#[test]
fn privileged_loose_as_a_user() {
    let name = "creel-store-test";
    let _ = Command::new("userdel").args(["-r", name]).output();
    run("useradd", &["-m", name]);
    let binary = format!("/home/{name}/test");
    std::fs::copy("/proc/self/exe", &binary).unwrap();
    run("chmod", &["a+rx", &binary]);
    let results = ["--map-auto", "--mount"].map(|map| {
        let test = "./test --ignored --exact as_a_user";
        let command = format!("cd; TMPDIR=$HOME exec unshare -r -m {map} {test}");
        Command::new("su").args([name, "-s", "/bin/sh", "-c", &command]).output().unwrap()
    });
    run("userdel", &["-r", name]);
    for output in results {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
}
