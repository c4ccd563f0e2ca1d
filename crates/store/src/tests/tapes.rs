//! Layers come out as they came in, bit for bit.

use creel_testkit::tar::{Entry as Member, Tar};

use super::layers::ingest;
use super::*;
use crate::tape::SUFFIX;

/// An archive that no writer of trees would write.
fn odd() -> Vec<u8> {
    let noise: Vec<u8> =
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut sparse = vec![3; 1024];
    sparse[0] = 1;
    let tar = Tar::new()
        .with(Member::file("twice", b"the first content is replaced"))
        .with(Member::file("twice", b"the second holds"))
        .with(Member::file("large", vec![8; 200_000]))
        .with(Member::file("large", &noise))
        .with(Member::file("a/.wh.b", b"whiteouts may have content"))
        .with(Member::dir("./z//"))
        .with(Member::file("d/.wh..wh..opq", b""))
        .with(Member::hardlink("link", "large"))
        .with(Member::file("same", &noise))
        .with(
            Member::file("sparse", sparse)
                .pax("comment", "kept")
                .pax("GNU.sparse.major", "0")
                .pax("GNU.sparse.minor", "1")
                .pax("GNU.sparse.size", "70000")
                .pax("GNU.sparse.numblocks", "2")
                .pax("GNU.sparse.map", "512,512,60000,512"),
        )
        .with(Member::file("empty", b""));
    let mut tar = tar.finish();
    tar.extend([0; 9000]);
    tar.extend(b"bytes after the end");
    tar
}

fn stores(dir: &tempfile::TempDir) -> [Store; 2] {
    [("p", Backend::Packed), ("l", Backend::Loose)]
        .map(|(name, backend)| Store::create(&dir.path().join(name), &backend, vec![]).unwrap())
}

fn export(store: &Store, diff_id: &Digest) -> Result<Vec<u8>> {
    let mut tar = Vec::new();
    store.export_layer(diff_id, &mut tar).map(|()| tar)
}

#[test]
fn an_archive_comes_back_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    for store in stores(&dir) {
        let layer = ingest(&store, &odd()).unwrap();
        assert!(export(&store, &layer.diff_id).unwrap() == odd());
        store.begin().unwrap().commit(&[(b"x", layer.diff_id)]).unwrap();
        store.collect(&Nothing, Wait::No).unwrap();
        assert!(export(&store, &layer.diff_id).unwrap() == odd());
        assert_eq!(store.check(Mode::Check).unwrap(), []);
        let usage = store.usage().unwrap();
        assert_eq!((usage.recipes.count, usage.tapes.count), (1, 1));
        assert!(usage.tapes.bytes < 20_000);
        store.remove_reference(b"x").unwrap();
        store.collect(&Nothing, Wait::No).unwrap();
        assert_eq!(store.usage().unwrap().tapes.count, 0);
    }
}

#[test]
fn a_layer_made_here_needs_no_tape() {
    let dir = tempfile::tempdir().unwrap();
    for store in stores(&dir) {
        let tree = ingest(&store, &odd()).unwrap().tree;
        let mut tar = Vec::new();
        let diff_id = store.write_layer(&tree, &mut tar).unwrap();
        assert!(matches!(export(&store, &diff_id), Err(StoreError::NoLayer { .. })));
        let transaction = store.begin().unwrap();
        transaction.record_layer(&diff_id, tree, &[]).unwrap();
        assert!(export(&store, &diff_id).unwrap() == tar);
        let other = Digest::sha256(b"other");
        transaction.record_layer(&other, tree, &[]).unwrap();
        assert!(matches!(export(&store, &other), Err(StoreError::NoTape { .. })));
    }
}

#[test]
fn damage_to_a_tape_is_named_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let [store, _] = stores(&dir);
    let layer = ingest(&store, &odd()).unwrap();
    let name = format!("sha256-{}{SUFFIX}", layer.diff_id.hex());
    let path = store.path().join("recipes").join(name);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7).chain(whole.len() - 200..whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let named = store.check(Mode::Check).unwrap() == [Problem::Tape(layer.diff_id)];
        // Some bits say nothing, as those of a larger window, and some only an export can miss.
        let exported = export(&store, &layer.diff_id);
        assert!(named || exported.is_ok_and(|tar| tar == odd()) || at >= whole.len() - 160);
    }
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(store.check(Mode::Repair).unwrap(), [Problem::Tape(layer.diff_id)]);
    // It is still missing, until the layer comes anew.
    assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Tape(layer.diff_id)]);
    assert!(!store.has_tape(&layer.diff_id));
    assert!(matches!(export(&store, &layer.diff_id), Err(StoreError::NoTape { .. })));
    ingest(&store, &odd()).unwrap();
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    assert!(export(&store, &layer.diff_id).unwrap() == odd());
}

#[test]
fn a_tape_is_missed_also_where_an_earlier_program_did_not_note_it() {
    let dir = tempfile::tempdir().unwrap();
    let [store, _] = stores(&dir);
    let layer = ingest(&store, &odd()).unwrap();
    let recipe = store.recipe(&layer.diff_id).unwrap().unwrap();
    assert!(recipe.taped);
    store.write_recipe(&layer.diff_id, &Recipe { taped: false, ..recipe.clone() }).unwrap();
    let name = format!("sha256-{}{SUFFIX}", layer.diff_id.hex());
    let path = store.path().join("recipes").join(name);
    std::fs::write(&path, b"short").unwrap();
    assert_eq!(store.check(Mode::Repair).unwrap(), [Problem::Tape(layer.diff_id)]);
    assert_eq!(store.recipe(&layer.diff_id).unwrap(), Some(recipe));
    assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Tape(layer.diff_id)]);
    ingest(&store, &odd()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(store.check(Mode::Check).unwrap(), [Problem::Tape(layer.diff_id)]);
}
