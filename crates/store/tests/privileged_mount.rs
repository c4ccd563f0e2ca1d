//! The kernel shows what was stored. Needs root, Linux 6.12 with `EROFS_FS_BACKED_BY_FILE`, and a
//! `/var/tmp` that is neither tmpfs nor overlayfs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use creel_base::digest::ObjectId;
use creel_codec::tree::{Entry, Kind, Meta, Tree};
use creel_store::{Backend, KernelProbe, Store, StoreError};
use rustix::fs::{Mode, OFlags};

type Files = BTreeMap<&'static str, Vec<u8>>;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::Builder::new().prefix("creel-mount-").tempdir_in("/var/tmp").unwrap();
    let store = Store::create(&dir.path().join("store"), &KernelProbe, Vec::new()).unwrap();
    (dir, store)
}

/// Bytes that differ from block to block and from `seed` to `seed`.
fn content(seed: u32, size: usize) -> Vec<u8> {
    (0..size as u32).map(|at| (at.wrapping_mul(31) ^ (at >> 9) ^ seed) as u8).collect()
}

fn files(seed: u32) -> Files {
    BTreeMap::from([
        ("big", content(seed, 3_000_001)),
        ("block", content(seed, 4096)),
        ("empty", Vec::new()),
        ("inline", content(seed, 2048)),
        ("one", content(seed, 1)),
        ("zeros", vec![0; 2 << 20]),
    ])
}

fn tree_of(files: &Files) -> Tree {
    let meta = |mode| Meta { mode, uid: 7, gid: 70_000, mtime_s: 1_700_000_000, ..Meta::default() };
    let directory = || Kind::Directory { opaque: false, implied: false };
    let entry = |path: &[u8], mode, kind| Entry { path: path.into(), meta: meta(mode), kind };
    let mut entries = vec![entry(b"", 0o755, directory()), entry(b"d", 0o750, directory())];
    for (name, content) in files {
        let kind = Kind::File { size: content.len() as u64, object: ObjectId::of(content) };
        entries.push(entry(format!("d/{name}").as_bytes(), 0o640, kind));
    }
    entries.push(entry(b"link", 0o777, Kind::Symlink { target: b"d/big".as_slice().into() }));
    Tree { entries }
}

/// Stores a tree, its contents spread over a pack for each group.
fn write(store: &Store, name: &[u8], groups: &[Files]) -> ObjectId {
    let mut all = Files::new();
    for group in groups {
        let transaction = store.begin().unwrap();
        let mut pack = transaction.pack().unwrap();
        for content in group.values() {
            pack.add(content).unwrap();
        }
        transaction.seal(pack).unwrap();
        transaction.commit(&[]).unwrap();
        all.extend(group.clone());
    }
    let transaction = store.begin().unwrap();
    let tree = transaction.put_tree(&tree_of(&all)).unwrap();
    transaction.commit(&[(name, tree.into())]).unwrap();
    tree
}

fn open(mount: &OwnedFd, path: &str) -> std::fs::File {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(mount.as_fd(), path, flags, Mode::empty());
    file.unwrap_or_else(|errno| panic!("{path}: {errno}")).into()
}

fn check(mount: &OwnedFd, files: &Files) {
    for (name, expected) in files {
        let mut file = open(mount, &format!("d/{name}"));
        let stat = file.metadata().unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.uid(), stat.gid()), (0o640, 7, 70_000), "{name}");
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert!(found == *expected, "{name}");
    }
    let link = rustix::fs::readlinkat(mount.as_fd(), "link", Vec::new()).unwrap();
    assert_eq!(link.to_bytes(), b"d/big");
}

#[test]
fn privileged_probe_finds_packed() {
    let (dir, store) = store();
    assert_eq!(store.description().backend, Backend::Packed);
    let names = std::fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".tmp-")));
    drop(dir);
}

#[test]
fn privileged_probe_finds_loose_on_tmpfs() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let store = Store::create(&dir.path().join("store"), &KernelProbe, Vec::new()).unwrap();
    assert_eq!(store.description().backend, Backend::Loose);
    let error = store.mount(&ObjectId::default()).unwrap_err();
    assert!(matches!(error, StoreError::WrongBackend { .. }), "{error}");
}

#[test]
fn privileged_mount_shows_the_contents() {
    let (_dir, store) = store();
    let tree = write(&store, b"a", &[files(1)]);
    let mount = store.mount(&tree).unwrap();
    check(&mount, &files(1));
    let created = rustix::fs::openat(&mount, "new", OFlags::CREATE | OFlags::RDWR, Mode::RUSR);
    assert_eq!(created.unwrap_err(), rustix::io::Errno::ROFS);
    // It is derived: made again after it was deleted, also while it is mounted.
    assert!(store.remove_image(&tree).unwrap());
    check(&store.mount(&tree).unwrap(), &files(1));
    check(&mount, &files(1));
}

#[test]
fn privileged_mount_reaches_two_packs() {
    let (_dir, store) = store();
    let other = Files::from([("a", content(9, 70_000)), ("b", content(10, 5000))]);
    let tree = write(&store, b"a", &[files(1), other.clone()]);
    assert_eq!(store.image(&tree).unwrap().packs().len(), 2);
    let mount = store.mount(&tree).unwrap();
    check(&mount, &files(1));
    check(&mount, &other);
}

#[test]
fn privileged_trees_share_a_pack() {
    let (_dir, store) = store();
    let first = write(&store, b"a", &[files(1)]);
    let fewer: Files = files(1).into_iter().filter(|(name, _)| *name != "block").collect();
    let second = write(&store, b"b", std::slice::from_ref(&fewer));
    let (one, two) = (store.image(&first).unwrap(), store.image(&second).unwrap());
    assert_eq!(one.packs(), two.packs());
    check(&store.mount(&first).unwrap(), &files(1));
    check(&store.mount(&second).unwrap(), &fewer);
}

#[test]
fn privileged_many_packs_are_gathered() {
    let (_dir, store) = store();
    let names: Vec<&'static str> =
        (0..40).map(|number| &*Box::leak(format!("f{number:02}").into_boxed_str())).collect();
    let group = |number: usize| Files::from([(names[number], content(number as u32, 9000))]);
    let groups: Vec<Files> = (0..40).map(group).collect();
    let tree = write(&store, b"a", &groups);
    assert_eq!(store.image(&tree).unwrap().packs().len(), 32);
    let mount = store.mount(&tree).unwrap();
    groups.iter().for_each(|group| check(&mount, group));
    assert_eq!(store.check(creel_store::Mode::Check).unwrap(), []);
}

#[test]
fn privileged_packs_of_alternates_are_mounted_in_place() {
    let (dir, base) = store();
    write(&base, b"a", &[files(1)]);
    let alternates = vec![base.path().to_owned()];
    let second = Store::create(&dir.path().join("second"), &KernelProbe, alternates).unwrap();
    let own = Files::from([("own", content(3, 10_000))]);
    let tree = write(&second, b"a", &[files(1), own.clone()]);
    assert_eq!(second.usage().unwrap().packs.count, 1);
    let mount = second.mount(&tree).unwrap();
    check(&mount, &files(1));
    check(&mount, &own);
}

#[test]
fn privileged_long_and_strange_paths_mount() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = dir.path().join("x".repeat(200)).join("with, comma:and space").join("store");
    let store = Store::create(&path, &KernelProbe, Vec::new()).unwrap();
    let tree = write(&store, b"a", &[files(1)]);
    check(&store.mount(&tree).unwrap(), &files(1));
}

#[test]
fn privileged_a_damaged_image_is_named() {
    let (_dir, store) = store();
    let tree = write(&store, b"a", &[files(1)]);
    let path = store.image(&tree).unwrap().path().to_owned();
    let mut image = std::fs::read(&path).unwrap();
    image[1030] ^= 1;
    std::fs::write(&path, image).unwrap();
    let error = store.mount(&tree).unwrap_err();
    assert!(matches!(error, StoreError::Mount { .. }), "{error}");
}
