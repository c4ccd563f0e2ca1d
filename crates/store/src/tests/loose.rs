//! Loose stores: trees as directories, shared, checked, collected.

use std::path::PathBuf;

use creel_base::path::Dir;

use super::layers::{archive, file, ingest, member};
use super::*;
use crate::{Difference, Origin, Owners};

fn loose(dir: &tempfile::TempDir) -> Store {
    Store::create(&dir.path().join("loose"), &Backend::Loose, Vec::new()).unwrap()
}

fn base() -> Vec<u8> {
    archive(&[
        member("etc/", b'5', "", b""),
        member("etc/a", b'0', "", b"content of a"),
        member("etc/b", b'1', "etc/a", b""),
        member("etc/big", b'0', "", &vec![7; 300_000]),
        member("etc/copy", b'0', "", b"content of a"),
        member("etc/empty", b'0', "", b""),
        member("fifo", b'6', "", b""),
        member("link", b'2', "/etc/passwd", b""),
    ])
}

/// Shares files with [`base`], and has some of its own.
fn sibling() -> Vec<u8> {
    archive(&[
        member("etc/big", b'0', "", &vec![7; 300_000]),
        member("etc/empty", b'0', "", b""),
        member("etc/new", b'0', "", b"new"),
    ])
}

/// Implies `etc`, and links to what is below.
fn upper() -> Vec<u8> {
    archive(&[member("etc/link", b'1', "etc/a", b""), member("etc/own", b'0', "", b"own")])
}

fn inode(path: PathBuf) -> u64 {
    std::fs::symlink_metadata(path).unwrap().ino()
}

/// Tells whether files of this directory can share content without being one.
fn clones(dir: &Path) -> bool {
    let [from, to] = ["from", "to"].map(|name| std::fs::File::create_new(dir.join(name)).unwrap());
    from.write_all_at(&[1; 4096], 0).unwrap();
    rustix::fs::ioctl_ficlone(&to, &from).is_ok()
}

fn names(path: &Path) -> Vec<String> {
    let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_layer_becomes_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let layer = ingest(&store, &base()).unwrap();
    let root = store.directory(&layer.tree).unwrap();
    assert_eq!(names(&root), ["etc", "fifo", "link"]);
    assert_eq!(std::fs::read(root.join("etc/big")).unwrap(), vec![7; 300_000]);
    assert_eq!(inode(root.join("etc/a")), inode(root.join("etc/b")));
    let stat = std::fs::metadata(root.join("etc/a")).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o644, 0o1750));
    assert_eq!(std::fs::metadata(root.join("etc")).unwrap().mtime(), 0o1750);
    assert_eq!(file(&store, &layer.tree, "etc/b").unwrap(), b"content of a");
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    assert_eq!(names(&store.path().join("checkouts")).len(), 1);
    let mut tar = Vec::new();
    store.write_layer(&layer.tree, &mut tar).unwrap();
    let packed = create(&dir);
    assert_eq!(ingest(&packed, &tar).unwrap().tree, layer.tree);
    assert!(matches!(packed.directory(&layer.tree), Err(StoreError::WrongBackend { .. })));
}

#[test]
fn equal_files_share_an_inode() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let first = ingest(&store, &base()).unwrap();
    let second = ingest(&store, &sibling()).unwrap();
    let (first, second) =
        (store.directory(&first.tree).unwrap(), store.directory(&second.tree).unwrap());
    let links = !clones(dir.path());
    assert_eq!(links, inode(first.join("etc/a")) == inode(first.join("etc/copy")));
    assert_eq!(links, inode(first.join("etc/big")) == inode(second.join("etc/big")));
    assert_ne!(inode(first.join("etc/empty")), inode(second.join("etc/empty")));
    let bytes = store.usage().unwrap().checkouts;
    assert_eq!(bytes.count, 2);
    assert!(!links || (300_000..400_000).contains(&bytes.bytes), "{bytes:?}");
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn files_that_differ_in_anything_share_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let write = |name: &str, mode, time| {
        let file = std::fs::File::create(root.join(name)).unwrap();
        file.write_all_at(b"same", 0).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        file.set_modified(time).unwrap();
    };
    write("a", 0o644, time);
    write("b", 0o644, time);
    write("later", 0o644, time + std::time::Duration::from_nanos(1));
    write("mode", 0o755, time);
    write("open", 0o664, time);
    write("open2", 0o664, time);
    write("xattr", 0o644, time);
    rustix::fs::setxattr(root.join("xattr"), "user.x", b"y", rustix::fs::XattrFlags::empty())
        .unwrap();
    let transaction = store.begin().unwrap();
    let snapshot = Dir::open(&root).unwrap();
    let (tree, _) = transaction.snapshot(&snapshot, Origin::Directory, Owners::Caller).unwrap();
    transaction.commit(&[(b"x", tree.into())]).unwrap();
    let root = store.directory(&tree).unwrap();
    let inodes = names(&root).into_iter().map(|name| inode(root.join(name)));
    let links = !clones(dir.path());
    let expected = if links { 6 } else { 7 };
    assert_eq!(inodes.collect::<std::collections::HashSet<_>>().len(), expected);
    assert_eq!(links, inode(root.join("a")) == inode(root.join("b")));
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn a_file_that_was_changed_is_not_shared() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let first = ingest(&store, &base()).unwrap();
    let path = store.directory(&first.tree).unwrap().join("etc/big");
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"?", 0).unwrap();
    let second = ingest(&store, &sibling()).unwrap();
    assert_eq!(file(&store, &second.tree, "etc/big").unwrap(), vec![7; 300_000]);
}

#[test]
fn a_resolved_stack_is_directories_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let lower = ingest(&store, &base()).unwrap();
    let upper = ingest(&store, &upper()).unwrap();
    let transaction = store.begin().unwrap();
    let stack = transaction.stack(&[lower.diff_id, upper.diff_id]).unwrap();
    transaction.commit(&[]).unwrap();
    let own = store.directory(&upper.tree).unwrap();
    assert_eq!(names(&own.join("etc")), ["own"], "a link into lower layers is left out");
    let top = store.directory(&stack[1]).unwrap();
    assert_eq!(names(&top.join("etc")), ["link", "own"]);
    assert_eq!(std::fs::read(top.join("etc/link")).unwrap(), b"content of a");
    assert_eq!(std::fs::metadata(top.join("etc")).unwrap().mtime(), 0o1750);
    let links = !clones(dir.path());
    assert_eq!(links, inode(top.join("etc/own")) == inode(own.join("etc/own")));
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    // Merged, it can be checked out from the layers.
    let trees: Vec<_> = stack.iter().map(|id| store.tree(id).unwrap()).collect();
    let merged = creel_codec::tree::merge(&[&trees[0], &trees[1]]).unwrap();
    let target = dir.path().join("out");
    store.checkout_tree(&merged, &stack, &target, Owners::Caller, Default::default()).unwrap();
    assert_eq!(std::fs::read(target.join("etc/copy")).unwrap(), b"content of a");
}

/// Something done to a checkout, and what a check says of it.
type Change = (&'static dyn Fn(&Path), &'static [(&'static str, Difference)]);

#[test]
fn every_difference_is_named_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let layer = ingest(&store, &base()).unwrap();
    let changes: [Change; 7] = [
        (
            &|root| std::fs::remove_file(root.join("fifo")).unwrap(),
            &[("", Difference::Metadata), ("fifo", Difference::Missing)],
        ),
        (
            &|root| std::fs::write(root.join("etc/extra"), b"").unwrap(),
            &[("etc", Difference::Metadata), ("etc/extra", Difference::Extra)],
        ),
        (
            &|root| std::fs::write(root.join("etc/big"), b"x").unwrap(),
            &[("etc/big", Difference::Content)],
        ),
        (
            &|root| {
                let mode = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(root.join("etc/empty"), mode).unwrap();
            },
            &[("etc/empty", Difference::Metadata)],
        ),
        (
            &|root| {
                std::fs::remove_file(root.join("link")).unwrap();
                std::fs::create_dir(root.join("link")).unwrap();
            },
            &[("", Difference::Metadata), ("link", Difference::Content)],
        ),
        (
            &|root| {
                std::fs::copy(root.join("etc/b"), root.join("etc/c")).unwrap();
                std::fs::rename(root.join("etc/c"), root.join("etc/b")).unwrap();
            },
            &[("etc", Difference::Metadata), ("etc/b", Difference::Metadata)],
        ),
        (&|root| std::fs::remove_dir_all(root).unwrap(), &[]),
    ];
    for (change, expected) in changes {
        let root = store.directory(&layer.tree).unwrap();
        change(&root);
        let problems = store.check(Mode::Check).unwrap();
        let mut wanted: Vec<_> = expected
            .iter()
            .map(|(path, what)| Problem::File {
                tree: layer.tree,
                path: path.as_bytes().to_vec(),
                what: *what,
            })
            .collect();
        if wanted.is_empty() {
            wanted.push(Problem::MissingCheckout(layer.tree));
        }
        assert_eq!(problems, wanted);
        store.check(Mode::Repair).unwrap();
        assert_eq!(store.check(Mode::Check).unwrap(), []);
        assert_eq!(names(&store.path().join("checkouts")), [""; 0]);
        assert_eq!(ingest(&store, &base()).unwrap(), layer);
    }
}

#[test]
fn a_lost_checkout_is_made_again_where_its_contents_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let first = ingest(&store, &base()).unwrap();
    let small = archive(&[member("x", b'0', "", &vec![7; 300_000])]);
    let second = ingest(&store, &small).unwrap();
    let paths = [first, second].map(|layer| store.directory(&layer.tree).unwrap());
    std::fs::remove_dir_all(&paths[1]).unwrap();
    assert_eq!(store.directory(&second.tree).unwrap(), paths[1]);
    assert_eq!(file(&store, &second.tree, "x").unwrap(), vec![7; 300_000]);
    std::fs::remove_dir_all(&paths[0]).unwrap();
    let error = store.directory(&first.tree).unwrap_err();
    assert!(matches!(error, StoreError::NoCheckout { .. }), "{error}");
    assert!(creel_base::hint::Hint::hint(&error).is_some());
}

#[test]
fn collection_removes_checkouts_of_dead_trees() {
    let dir = tempfile::tempdir().unwrap();
    let store = loose(&dir);
    let kept = ingest(&store, &base()).unwrap();
    let dead = ingest(&store, &sibling()).unwrap();
    store.begin().unwrap().commit(&[(b"kept", kept.diff_id)]).unwrap();
    std::fs::create_dir_all(store.path().join("checkouts/.tmp-half/made")).unwrap();
    assert_eq!(store.collectable(&Nothing, &[]).unwrap().checkouts, 1);
    let done = store.collect(&Nothing, Wait::No).unwrap();
    assert_eq!((done.trees, done.checkouts), (1, 1));
    assert_eq!(names(&store.path().join("checkouts")), [format!("{}.caller", kept.tree)]);
    assert!(matches!(store.directory(&dead.tree), Err(StoreError::NoTree { .. })));
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn checkouts_of_alternates_are_used_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let lower = loose(&dir);
    let layer = ingest(&lower, &base()).unwrap();
    let path = dir.path().join("second");
    let store = Store::create(&path, &Backend::Loose, vec![lower.path().to_owned()]).unwrap();
    assert_eq!(store.directory(&layer.tree).unwrap(), lower.directory(&layer.tree).unwrap());
    assert_eq!(file(&store, &layer.tree, "etc/a").unwrap(), b"content of a");
    let mut tar = Vec::new();
    store.export_layer(&layer.diff_id, &mut tar).unwrap();
    assert!(tar == base());
    assert_eq!(names(&path.join("checkouts")), [""; 0]);
    let other = dir.path().join("third");
    let mixed = Store::create(&other, &Backend::Packed, vec![lower.path().to_owned()]);
    assert!(matches!(mixed, Err(StoreError::WrongAlternate { .. })));
}

#[test]
fn a_crash_at_any_step_leaves_a_whole_loose_store() {
    for steps in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let store = loose(&dir);
        let base = ingest(&store, &base()).unwrap();
        let dead = ingest(&store, &sibling()).unwrap();
        let references: [(&[u8], _); 2] = [(b"base", base.diff_id), (b"dead", dead.diff_id)];
        store.begin().unwrap().commit(&references).unwrap();
        fault::inject(Some(steps));
        let failed = ingest(&store, &upper())
            .and_then(|upper| store.begin()?.stack(&[base.diff_id, upper.diff_id]))
            .is_err()
            | store.remove_reference(b"dead").is_err()
            | store.collect(&Nothing, Wait::No).is_err();
        fault::inject(None);
        let store = Store::open(store.path()).unwrap();
        assert_eq!(store.check(Mode::Check).unwrap(), [], "after {steps} steps");
        let upper = ingest(&store, &upper()).unwrap();
        let stack = store.begin().unwrap().stack(&[base.diff_id, upper.diff_id]).unwrap();
        assert_eq!(file(&store, &stack[1], "etc/link").unwrap(), b"content of a");
        store.remove_reference(b"dead").unwrap();
        store.collect(&Nothing, Wait::No).unwrap();
        assert_eq!(names(&store.path().join("checkouts")).len(), 1);
        if !failed {
            assert!(steps > 20);
            return;
        }
    }
}
