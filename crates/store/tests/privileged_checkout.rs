//! A tree becomes a directory, metadata included. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use creel_base::digest::ObjectId;
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Entry, Kind, Meta, Tree, Xattr};
use creel_store::{Backend, Owners, Store, StoreError};

fn entry(path: &str, mode: u16, kind: Kind) -> Entry {
    let meta = match kind.has_meta() {
        true => Meta { mode, uid: 7, gid: 8, mtime_s: 1000, mtime_ns: 5, xattrs: Vec::new() },
        false => Meta::default(),
    };
    Entry { path: path.as_bytes().into(), meta, kind }
}

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.as_bytes().into(), value: value.into() }
}

fn put(store: &Store, contents: &[&[u8]], entries: Vec<Entry>) -> ObjectId {
    let transaction = store.begin().unwrap();
    let mut pack = transaction.pack().unwrap();
    for content in contents {
        pack.add(content).unwrap();
    }
    transaction.seal(pack).unwrap();
    let tree = transaction.put_tree(&Tree { entries }).unwrap();
    transaction.commit(&[(b"x", tree.into())]).unwrap();
    tree
}

fn fixture() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let store = Store::create(&dir.path().join("store"), &Backend::Packed, Vec::new()).unwrap();
    (dir, store)
}

fn directory(opaque: bool) -> Kind {
    Kind::Directory { opaque, implied: false }
}

fn get(path: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 64];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
    value.truncate(length);
    value
}

#[test]
fn privileged_checkout_gives_what_the_tree_says() {
    let (dir, store) = fixture();
    let big = [vec![0; 3 << 20], vec![1; 10]].concat();
    let file =
        |content: &[u8]| Kind::File { size: content.len() as u64, object: ObjectId::of(content) };
    let mut tool = entry("closed/tool", 0o4755, file(b"tool"));
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    tool.meta.xattrs = vec![xattr("security.capability", &capability), xattr("user.a", b"b")];
    let entries = vec![
        entry("", 0o751, directory(false)),
        entry("closed", 0o555, directory(true)),
        entry("closed/again", 0, Kind::Fifo),
        tool,
        entry("dev", 0o600, Kind::CharDevice { major: 1, minor: 300 }),
        entry("gone", 0, Kind::Whiteout),
        entry("link", 0o777, Kind::Symlink { target: b"../../etc".as_slice().into() }),
        entry("second", 0, Kind::HardLink { entry: 3 }),
        entry("zeros", 0o640, file(&big)),
    ];
    let tree = put(&store, &[b"tool", &big], entries);
    let root = dir.path().join("out");
    store.checkout(&tree, &root, Owners::AsInTree, OverlayMarks::Trusted).unwrap();
    let stat = |name: &str| std::fs::symlink_metadata(root.join(name)).unwrap();
    for (name, mode) in [("", 0o751), ("closed", 0o555), ("closed/tool", 0o4755), ("zeros", 0o640)]
    {
        let stat = stat(name);
        assert_eq!(stat.mode() & 0o7777, mode, "{name}");
        assert_eq!((stat.uid(), stat.gid(), stat.mtime(), stat.mtime_nsec()), (7, 8, 1000, 5));
    }
    assert_eq!(get(&root.join("closed/tool"), "security.capability"), capability);
    assert_eq!(get(&root.join("closed"), "trusted.overlay.opaque"), b"y");
    assert_eq!(stat("second").ino(), stat("closed/tool").ino());
    assert_eq!(stat("dev").rdev(), rustix::fs::makedev(1, 300));
    assert!(stat("gone").file_type().is_char_device() && stat("gone").rdev() == 0);
    assert!(stat("closed/again").file_type().is_fifo());
    assert_eq!(std::fs::read_link(root.join("link")).unwrap(), Path::new("../../etc"));
    assert_eq!((stat("link").uid(), stat("link").mtime()), (7, 1000));
    assert!(std::fs::read(root.join("zeros")).unwrap() == big);
    assert!(stat("zeros").blocks() * 512 < 1 << 20);
    let again = store.checkout(&tree, &root, Owners::AsInTree, OverlayMarks::Trusted);
    assert!(matches!(again, Err(StoreError::Path(error)) if error.is_already_exists()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn privileged_checkout_refuses_what_overlayfs_would_misread() {
    let (dir, store) = fixture();
    let mut marked = entry("a", 0o755, directory(false));
    marked.meta.xattrs = vec![xattr("trusted.overlay.opaque", b"y")];
    let device = entry("a", 0o600, Kind::CharDevice { major: 0, minor: 0 });
    let lower = entry("a", 0, Kind::LowerLink { path: b"b".as_slice().into() });
    for bad in [marked, device, lower] {
        let tree = put(&store, &[], vec![entry("", 0o755, directory(false)), bad]);
        let root = dir.path().join("out");
        let made = store.checkout(&tree, &root, Owners::Caller, OverlayMarks::Trusted);
        assert!(matches!(made, Err(StoreError::CannotCheckOut { .. })), "{made:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left");
    }
}
