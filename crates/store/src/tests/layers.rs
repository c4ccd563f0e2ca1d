//! Layers taken in, stacked and read.

use std::io::Read as _;

use creel_codec::layer::Limits;
use creel_codec::tree::Kind;

use super::*;
use crate::{Layer, Owners, chain_ids};

/// One member of a ustar archive: of type `kind`, with a link target or content.
pub(crate) fn member(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, if kind == b'5' { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000007\0");
    put(116, b"0000010\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000001750\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut member = [&header[..], content].concat();
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

pub(crate) fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

pub(crate) fn ingest(store: &Store, tar: &[u8]) -> Result<Layer> {
    let transaction = store.begin()?;
    let mut writer = transaction.layer(Limits::default(), Owners::Caller)?;
    for piece in tar.chunks(700) {
        writer.feed(piece)?;
    }
    let layer = writer.finish(None, &[])?;
    transaction.commit(&[])?;
    Ok(layer)
}

pub(crate) fn file(store: &Store, tree: &ObjectId, path: &str) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    store
        .open_file(tree, path.as_bytes())
        .map_err(std::io::Error::other)?
        .read_to_end(&mut content)?;
    Ok(content)
}

fn base() -> Vec<u8> {
    archive(&[
        member("etc/", b'5', "", b""),
        member("etc/a", b'0', "", b"content of a"),
        member("etc/big", b'0', "", &vec![7; 100_000]),
        member("etc/empty", b'0', "", b""),
    ])
}

/// Only implies `etc`, and links to what is below.
fn upper() -> Vec<u8> {
    archive(&[
        member("etc/link", b'1', "etc/a", b""),
        member("etc/other", b'1', "etc/a", b""),
        member("etc/.wh.big", b'0', "", b""),
    ])
}

#[test]
fn a_layer_comes_in_and_its_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let layer = ingest(&store, &base()).unwrap();
    assert_eq!(layer.diff_id, Digest::sha256(&base()));
    assert_eq!(store.recipe(&layer.diff_id).unwrap().unwrap().tree, layer.tree);
    assert_eq!(file(&store, &layer.tree, "etc/a").unwrap(), b"content of a");
    assert_eq!(file(&store, &layer.tree, "etc/big").unwrap(), vec![7; 100_000]);
    assert_eq!(file(&store, &layer.tree, "etc/empty").unwrap(), b"");
    for path in ["etc", "none", "etc/a/b", ""] {
        let error = store.open_file(&layer.tree, path.as_bytes()).unwrap_err();
        assert!(matches!(error, StoreError::NoFile { .. }), "{error}");
    }
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn the_read_that_ends_a_damaged_file_fails() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let layer = ingest(&store, &base()).unwrap();
    let at = store.locate(&ObjectId::of(&vec![7; 100_000])).unwrap().unwrap();
    let pack = store.path().join("objects").join(at.pack.pack_name());
    let pack = std::fs::OpenOptions::new().write(true).open(pack).unwrap();
    pack.write_all_at(b"?", at.offset + 5).unwrap();
    let error = file(&store, &layer.tree, "etc/big").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_writer_checks_the_diff_id_or_takes_it_on_trust() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let transaction = store.begin().unwrap();
    let begin = || transaction.layer(Limits::default(), Owners::Caller).unwrap();
    let other = Digest::sha256(b"other");
    let mut writer = begin();
    writer.feed(&base()).unwrap();
    let error = writer.finish(Some(other), &[]).unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { .. }));
    assert!(store.recipe(&other).unwrap().is_none());
    let mut writer = begin().hashed_by_caller();
    writer.feed(&base()).unwrap();
    assert_eq!(writer.finish(Some(other), &[]).unwrap().diff_id, other);
    let writer = begin().hashed_by_caller();
    assert!(matches!(writer.finish(None, &[]), Err(StoreError::OutOfOrder { .. })));
    let mut writer = begin();
    assert!(matches!(writer.feed(&[b'x'; 512]), Err(StoreError::Layer { .. })));
}

#[test]
fn compressed_digests_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let diff_id = ingest(&store, &base()).unwrap().diff_id;
    let [a, b, c] = [b"a", b"b", b"c"].map(|text| Digest::sha256(text));
    let transaction = store.begin().unwrap();
    transaction.know_layer(&diff_id, &[a, b]).unwrap();
    transaction.know_layer(&diff_id, &[b, c]).unwrap();
    assert_eq!(store.recipe(&diff_id).unwrap().unwrap().compressed, [a, b, c]);
    assert!(matches!(transaction.know_layer(&a, &[b]), Err(StoreError::NoLayer { .. })));
    drop(transaction);
    ingest(&store, &base()).unwrap();
    assert_eq!(store.recipe(&diff_id).unwrap().unwrap().compressed, [a, b, c]);
}

#[test]
fn layers_are_taken_in_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let transaction = store.begin().unwrap();
    let tars: Vec<_> =
        (0..4).map(|n| archive(&[member(&format!("{n}"), b'0', "", &vec![n; 70_000])])).collect();
    let trees: Vec<_> = std::thread::scope(|scope| {
        let one = |tar: &Vec<u8>| {
            let mut writer = transaction.layer(Limits::default(), Owners::Caller).unwrap();
            tar.chunks(5000).for_each(|piece| writer.feed(piece).unwrap());
            writer.finish(None, &[]).unwrap().tree
        };
        let threads: Vec<_> = tars.iter().map(|tar| scope.spawn(move || one(tar))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    transaction.commit(&[]).unwrap();
    for (number, tree) in trees.iter().enumerate() {
        let content = file(&store, tree, &format!("{number}")).unwrap();
        assert_eq!(content, vec![number as u8; 70_000]);
    }
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn a_stack_is_resolved_once_and_kept_by_its_chain_id() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let lower = ingest(&store, &base()).unwrap();
    let upper = ingest(&store, &upper()).unwrap();
    let diff_ids = [lower.diff_id, upper.diff_id];
    assert_eq!(store.stack(&diff_ids).unwrap(), None);
    let transaction = store.begin().unwrap();
    let stack = transaction.stack(&diff_ids).unwrap();
    let chain = chain_ids(&diff_ids);
    transaction.commit(&[(b"lower", lower.diff_id), (b"stack", chain[1])]).unwrap();
    assert_eq!(store.stack(&diff_ids).unwrap().as_ref(), Some(&stack));
    assert_eq!(stack[0], lower.tree);
    assert_ne!(stack[1], upper.tree);
    let tree = store.tree(&stack[1]).unwrap();
    let directory = tree.get(b"etc").unwrap();
    assert_eq!((directory.meta.uid, directory.meta.mtime_s), (7, 0o1750));
    assert!(matches!(tree.get(b"etc/link").unwrap().kind, Kind::File { .. }));
    assert!(matches!(tree.get(b"etc/other").unwrap().kind, Kind::HardLink { .. }));
    assert_eq!(file(&store, &stack[1], "etc/other").unwrap(), b"content of a");
    // The stack needs the resolved tree, not the one it was made of.
    assert_eq!(store.collect(&Nothing, Wait::No).unwrap().trees, 1);
    assert_eq!(store.stack(&diff_ids).unwrap(), Some(stack));
    assert!(store.tree(&upper.tree).is_err());
    store.remove_reference(b"stack").unwrap();
    assert_eq!(store.collect(&Nothing, Wait::No).unwrap().trees, 1);
    assert_eq!(store.stack(&diff_ids).unwrap(), None);
}

#[test]
fn the_image_of_a_tree_with_implied_directories_is_what_its_listing_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store"), &Backend::Packed, vec![]).unwrap();
    for tar in [archive(&[member("a/b/c", b'0', "", b"x")]), base()] {
        store.image(&ingest(&store, &tar).unwrap().tree).unwrap();
    }
    assert_eq!(store.check(Mode::Check).unwrap(), []);
}

#[test]
fn a_stack_leaves_the_recipe_of_its_lowest_layer_alone() {
    let dir = tempfile::tempdir().unwrap();
    for (number, backend) in [Backend::Packed, Backend::Loose].iter().enumerate() {
        let path = dir.path().join(number.to_string());
        let store = Store::create(&path, backend, vec![]).unwrap();
        // Its directories are only implied, and a later file takes the place of an earlier one.
        let tar = archive(&[
            member("a/b/twice", b'0', "", b"first"),
            member("a/b/twice", b'0', "", b"second"),
        ]);
        let (lower, upper) = (ingest(&store, &tar).unwrap(), ingest(&store, &base()).unwrap());
        let transaction = store.begin().unwrap();
        transaction.know_layer(&lower.diff_id, &[Digest::sha256(b"compressed")]).unwrap();
        let before = store.recipe(&lower.diff_id).unwrap().unwrap();
        for above in [&[][..], &[upper.diff_id], &[lower.diff_id, upper.diff_id]] {
            let stack = transaction.stack(&[&[lower.diff_id], above].concat()).unwrap();
            assert_eq!(stack[0], lower.tree);
            assert_eq!(store.recipe(&lower.diff_id).unwrap().as_ref(), Some(&before));
        }
        let mut out = Vec::new();
        store.export_layer(&lower.diff_id, &mut out).unwrap();
        assert_eq!(out, tar);
    }
}

#[test]
fn a_stack_that_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(&dir);
    let upper = ingest(&store, &upper()).unwrap();
    let transaction = store.begin().unwrap();
    let error = transaction.stack(&[upper.diff_id]).unwrap_err();
    assert!(matches!(error, StoreError::Stack { .. }), "{error}");
    let error = transaction.stack(&[Digest::sha256(b"none")]).unwrap_err();
    assert!(matches!(error, StoreError::NoLayer { .. }), "{error}");
}
