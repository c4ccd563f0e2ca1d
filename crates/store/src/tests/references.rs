//! Whatever lies among the references.

use std::os::unix::fs::symlink;

use super::*;

/// Puts something among the references in a way of its own.
type Odd = fn(&Path);

const ODD: [(&[u8], Odd); 5] = [
    (b"garbage", |path| std::fs::write(path, b"\0\xff").unwrap()),
    (b"empty", |path| std::fs::write(path, b"").unwrap()),
    (b"link", |path| symlink("/etc/passwd", path).unwrap()),
    (b"socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    (b"directory", |path| {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("mine"), b"precious").unwrap();
    }),
];

#[test]
fn what_is_no_reference_is_named_and_nothing_is_collected_until_it_is_gone() {
    for (name, put) in ODD {
        let dir = tempfile::tempdir().unwrap();
        let store = create(&dir);
        write(&store, b"x", &contents(1)).unwrap();
        let path = store.path().join("refs").join(std::str::from_utf8(name).unwrap());
        put(&path);
        assert!(
            matches!(store.reference(name), Err(StoreError::Damaged { path: p, .. }) if p == path)
        );
        let refused = store.collect(&Nothing, Wait::No);
        assert!(matches!(refused, Err(StoreError::Damaged { path: p, .. }) if p == path));
        assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Reference(name.to_vec())]);
        assert_eq!(store.check(Mode::Repair).unwrap(), [Problem::Reference(name.to_vec())]);
        assert_eq!(store.check(Mode::Check).unwrap(), []);
        store.collect(&Nothing, Wait::No).unwrap();
        assert!(store.reference(b"x").unwrap().is_some());
    }
}

#[test]
fn what_is_no_file_is_dropped_elsewhere_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let (tree, digest) = (ObjectId::of(b"tree"), Digest::sha256(b"blob"));
    std::fs::create_dir(store.path().join("trees").join(tree.hex())).unwrap();
    std::fs::create_dir(store.path().join("blobs/sha256").join(digest.hex())).unwrap();
    std::fs::create_dir(store.path().join(format!("recipes/sha256-{}", digest.hex()))).unwrap();
    let expected = [Problem::Tree(tree), Problem::Blob(digest), Problem::Recipe(digest)];
    assert_eq!(store.check(Mode::Check).unwrap(), expected);
    assert_eq!(store.check(Mode::Repair).unwrap(), expected);
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn a_directory_among_the_references_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    for _ in 0..2 {
        ODD[4].1(&store.path().join("refs/directory"));
        store.check(Mode::Repair).unwrap();
    }
    let lost = std::fs::read_dir(store.path().join("lost")).unwrap();
    let kept = lost.map(|entry| std::fs::read(entry.unwrap().path().join("mine")).unwrap());
    assert_eq!(kept.collect::<Vec<_>>(), [b"precious", b"precious"]);
}
