//! Checkouts with the ids of a user namespace as owners. Needs root, and a tmpfs at `/dev/shm`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod settings;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use creel_base::path::Dir;
use creel_codec::erofs::OverlayMarks;
use creel_store::{
    Difference, IdRange, Ids, KernelProbe, Mode, Origin, Owners, Problem, Store, StoreError, scan,
};
use settings::{ROOT, base, compare, ingest};

fn ids(outside: u32, count: u32) -> Ids {
    let range = [IdRange { inside: 0, outside, count }];
    Ids::new(&range, &range).unwrap()
}

fn owner(path: &Path) -> (u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn privileged_copies_have_other_owners() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let store = Store::create(&dir.path().join("store"), &KernelProbe, Vec::new()).unwrap();
    let layer = ingest(&store, &base(ROOT), Owners::AsInTree);
    let original = store.directory(&layer.tree).unwrap();
    // The sample has owners up to three thousand millions.
    let many = ids(500_000, 3_000_000_001);
    let copy = store.mapped_directory(&layer.tree, many).unwrap();
    assert_eq!(store.mapped_directory(&layer.tree, many).unwrap(), copy);
    assert_eq!(owner(&copy), (500_000, 500_000));
    assert_eq!(owner(&copy.join("far")), (3_000_500_000, 570_000));
    assert_eq!(owner(&original.join("far")), (3_000_000_000, 70_000));
    let inode = |path: &Path| fs::symlink_metadata(path.join("d/file-4097")).unwrap().ino();
    assert_ne!(inode(&copy), inode(&original));
    let read = |owners| {
        scan(&Dir::open(&copy).unwrap(), Origin::Upper(OverlayMarks::Trusted), owners).unwrap()
    };
    let tree = store.tree(&layer.tree).unwrap();
    compare(&read(Owners::Mapped(many)), &tree, ROOT);
    // Outside, the capability is for the root that stands for the container's.
    let plain = read(Owners::AsInTree);
    let ping = plain.get(b"ping").unwrap().meta.xattrs[0].value.to_vec();
    assert_eq!((ping.len(), &ping[20..]), (24, &500_000_u32.to_le_bytes()[..]));
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    let refused = store.mapped_directory(&layer.tree, ids(500_000, 65_536));
    assert!(matches!(refused, Err(StoreError::NotMapped { .. })), "{refused:?}");
}

#[test]
fn privileged_copies_are_checked_and_go_with_their_tree() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let store = Store::create(&dir.path().join("store"), &KernelProbe, Vec::new()).unwrap();
    let layer = ingest(&store, &base(ROOT), Owners::AsInTree);
    let copy = store.mapped_directory(&layer.tree, ids(7, 3_000_000_001)).unwrap();
    fs::write(copy.join("noted"), "other").unwrap();
    let path = b"noted".to_vec();
    let expected = Problem::File { tree: layer.tree, path, what: Difference::Content };
    assert_eq!(store.check(Mode::Check).unwrap(), [expected]);
    store.check(Mode::Repair).unwrap();
    assert!(!copy.exists());
}
