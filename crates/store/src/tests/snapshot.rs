//! Directories read into trees, and trees written as layers.

use std::os::unix::fs::{FileExt as _, symlink};

use creel_base::path::Dir;
use creel_codec::tree::Kind;

use super::layers::{archive, ingest, member};
use super::*;
use crate::{Origin, Owners, scan};

/// A directory with a little of everything that needs no privileges.
fn sample(root: &Path) {
    let path = |name: &str| root.join(name);
    std::fs::create_dir_all(path("deep/er/est")).unwrap();
    std::fs::write(path("deep/er/file"), vec![3; 5000]).unwrap();
    std::fs::write(path("empty"), b"").unwrap();
    std::fs::write(path("first"), b"linked").unwrap();
    std::fs::hard_link(path("first"), path("deep/second")).unwrap();
    symlink("../nowhere", path("deep/link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    let sparse = std::fs::File::create(path("sparse")).unwrap();
    sparse.write_all_at(b"middle", 1 << 20).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::fs::set_permissions(path("empty"), std::fs::Permissions::from_mode(0o4711)).unwrap();
}

fn open(path: &Path) -> Dir {
    Dir::open(path).unwrap()
}

#[test]
fn a_snapshot_is_the_directory_and_a_layer() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    sample(&root);
    let store = create(&dir);
    let transaction = store.begin().unwrap();
    let (id, tree) = transaction.snapshot(&open(&root), Origin::Directory, Owners::Caller).unwrap();
    transaction.commit(&[(b"x", id.into())]).unwrap();
    assert_eq!(store.tree(&id).unwrap(), tree);
    assert_eq!(scan(&open(&root), Origin::Directory, Owners::Caller).unwrap(), tree);
    let get = |path: &str| tree.get(path.as_bytes()).unwrap();
    assert_eq!(tree.entries.len(), 11);
    assert_eq!((get("empty").meta.mode, get("empty").meta.uid), (0o4711, 0));
    assert!(matches!(get("first").kind, Kind::HardLink { .. }));
    assert_eq!(get("deep/link").kind, Kind::Symlink { target: b"../nowhere".as_slice().into() });
    let Kind::File { size, object } = get("sparse").kind else { panic!("no file") };
    let at = store.locate(&object).unwrap().unwrap();
    let pack = store.path().join("objects").join(at.pack.pack_name());
    assert_eq!(size, 3 << 20);
    assert!(std::fs::metadata(pack).unwrap().blocks() * 512 < 1 << 20, "holes stay");
    let mut tar = Vec::new();
    let diff_id = store.write_layer(&id, &mut tar).unwrap();
    assert_eq!(diff_id, Digest::sha256(&tar));
    let layer = ingest(&store, &tar).unwrap();
    assert_eq!((layer.diff_id, layer.tree), (diff_id, id));
}

#[test]
fn a_layer_that_was_read_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let tar = archive(&[
        member("a/b/.wh.c", b'0', "", b""),
        member("d/", b'5', "", b""),
        member("d/.wh..wh..opq", b'0', "", b""),
        member("d/link", b'1', "lower/file", b""),
        member("z", b'0', "", b"content"),
    ]);
    let layer = ingest(&store, &tar).unwrap();
    let mut written = Vec::new();
    store.write_layer(&layer.tree, &mut written).unwrap();
    assert_eq!(ingest(&store, &written).unwrap().tree, layer.tree);
}

#[test]
fn a_reader_that_fails_and_a_damaged_file_are_told_apart() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let layer = ingest(&store, &archive(&[member("a", b'0', "", &vec![1; 9000])])).unwrap();
    let error = store.write_layer(&layer.tree, &mut Full).unwrap_err();
    assert!(matches!(error, StoreError::Output { .. }));
    let at = store.locate(&ObjectId::of(&vec![1; 9000])).unwrap().unwrap();
    let pack = store.path().join("objects").join(at.pack.pack_name());
    let pack = std::fs::OpenOptions::new().write(true).open(pack).unwrap();
    pack.write_all_at(b"?", at.offset).unwrap();
    let error = store.write_layer(&layer.tree, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { .. }), "{error}");
}

#[test]
fn a_directory_that_changes_is_read_without_leaving_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    sample(&root);
    std::fs::create_dir(dir.path().join("outside")).unwrap();
    std::fs::write(dir.path().join("outside/secret"), b"secret").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::sync::atomic::Ordering;
            for round in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let _ = std::fs::rename(root.join("deep/er"), root.join("moved"));
                let _ = symlink("../../outside", root.join("deep/er"));
                let _ = std::fs::write(root.join("first"), vec![1; (round % 9000) as usize]);
                let _ = std::fs::remove_file(root.join("deep/er"));
                let _ = std::fs::rename(root.join("moved"), root.join("deep/er"));
            }
        });
        let secret = ObjectId::of(b"secret");
        for _ in 0..300 {
            let tree = scan(&open(&root), Origin::Directory, Owners::Caller).unwrap();
            for entry in &tree.entries {
                assert!(!matches!(&entry.kind, Kind::File { object, .. } if *object == secret));
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
