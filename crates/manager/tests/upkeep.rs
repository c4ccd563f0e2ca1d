//! Measuring, cleaning and checking a store that has images.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in the helpers of tests

mod sample;

use std::path::{Path, PathBuf};

use creel_base::digest::ObjectId;
use creel_base::hint::Hint as _;
use creel_manager::StoreCheck;
use creel_manager::upkeep::{Check, Scope};
use sample::Sample;

static BIG: [u8; 100_000] = [1; 100_000];
static BASE: &[(&str, &[u8])] = &[("lib", &BIG), ("small", b"s")];

fn two_images() -> Sample {
    let sample = Sample::new();
    sample.image("localhost/a:1", &[BASE, &[("only-a", &[2; 50_000])]]);
    sample.image("localhost/b:1", &[BASE, &[("only-b", &[3; 70_000])]]);
    sample
}

#[test]
fn what_images_share_counts_once() {
    let sample = two_images();
    let report = sample.engine.disk_usage().unwrap();
    assert_eq!((report.contents, report.content_bytes), (4, 220_001));
    assert_eq!(report.logical_bytes, 150_001 + 170_001);
    let images: Vec<_> = report
        .images
        .iter()
        .map(|image| (&*image.names[0], image.bytes, image.unique_bytes))
        .collect();
    assert_eq!(images, [("localhost/a:1", 150_001, 50_000), ("localhost/b:1", 170_001, 70_000)]);
    assert_eq!((report.prunable_objects, report.prunable_bytes), (Some(0), Some(0)));
    assert!(report.disk_bytes >= 220_001);
}

#[test]
fn a_prune_does_what_its_dry_run_said() {
    let sample = two_images();
    assert_eq!(sample.engine.prune(Scope::Garbage).unwrap().objects, 0);
    sample.engine.store().remove_reference(b"localhost/a:1").unwrap();
    let expected = sample.engine.prunable(Scope::Garbage).unwrap();
    assert_eq!((expected.objects, expected.bytes), (1, 50_000));
    let done = sample.engine.prune(Scope::Garbage).unwrap();
    assert_eq!((done.objects, done.trees, done.documents), (1, 1, 2));
    assert_eq!((done.objects, done.bytes), (expected.objects, expected.bytes));
    let expected = sample.engine.prunable(Scope::UnusedImages).unwrap();
    assert_eq!(expected.images, ["localhost/b:1"]);
    let done = sample.engine.prune(Scope::UnusedImages).unwrap();
    assert_eq!((done.images, done.objects), (expected.images, 3));
    let left = sample.engine.disk_usage().unwrap();
    assert_eq!((left.contents, left.images.len()), (0, 0));
    assert_eq!(sample.again().check(StoreCheck::Check).unwrap().problems, []);
}

/// The one file of a directory of the store with this name, or the largest one.
fn file(sample: &Sample, directory: &str, name: Option<&str>) -> PathBuf {
    let directory = sample.directory.path().join("store").join(directory);
    match name {
        Some(name) => directory.join(name),
        None => std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .max_by_key(|path| std::fs::metadata(path).unwrap().len())
            .unwrap(),
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

/// Damages a store, checks what is found, repairs it, makes the images again and finds it whole.
fn damaged(damage: impl Fn(&Sample), what: &str, images: &[&str]) {
    let sample = two_images();
    damage(&sample);
    let found = sample.again().check(StoreCheck::Check).unwrap();
    let first = found.problems.first().expect(what);
    assert_eq!(
        (first.what, first.images.iter().map(|name| &**name).collect()),
        (what, images.to_vec()),
        "{:?}",
        found.problems
    );
    let again = sample.again().check(StoreCheck::Check).unwrap();
    assert_eq!(again.problems, found.problems, "a check changes nothing");
    assert_eq!(sample.again().check(StoreCheck::Repair).unwrap().problems.first(), Some(first));
    let sample = Sample { engine: sample.again(), ..sample };
    sample.image("localhost/a:1", &[BASE, &[("only-a", &[2; 50_000])]]);
    sample.image("localhost/b:1", &[BASE, &[("only-b", &[3; 70_000])]]);
    assert_eq!(sample.again().check(StoreCheck::Check).unwrap().problems, [], "{what}");
}

#[test]
fn damage_is_told_in_terms_of_images_and_mended_by_making_them_again() {
    let manifest = |sample: &Sample| sample.engine.image("localhost/a:1").unwrap();
    damaged(
        |sample| {
            let at = sample.engine.store().locate(&ObjectId::of(&[3; 70_000])).unwrap().unwrap();
            flip(
                &file(sample, "objects", Some(&format!("pack-{}.pack", at.pack))),
                at.offset as usize + 9,
            );
        },
        "object",
        &["localhost/b:1"],
    );
    damaged(
        |sample| {
            let at = sample.engine.store().locate(&ObjectId::of(&BIG)).unwrap().unwrap();
            flip(
                &file(sample, "objects", Some(&format!("pack-{}.pack", at.pack))),
                at.offset as usize + 9,
            );
        },
        "object",
        &["localhost/a:1", "localhost/b:1"],
    );
    damaged(
        |sample| {
            let digest = manifest(sample).digest;
            flip(&file(sample, "blobs/sha256", Some(&digest.hex())), 20);
        },
        "blob",
        &["localhost/a:1"],
    );
    damaged(
        |sample| {
            let id = manifest(sample).id;
            std::fs::remove_file(file(sample, "blobs/sha256", Some(&id.hex()))).unwrap();
        },
        "blob",
        &["localhost/a:1"],
    );
    damaged(
        |sample| {
            let diff_id = manifest(sample).config.rootfs.diff_ids[1];
            let name = format!("sha256-{}", diff_id.hex());
            std::fs::remove_file(file(sample, "recipes", Some(&name))).unwrap();
        },
        "layer",
        &["localhost/a:1"],
    );
    damaged(
        |sample| {
            let tree = sample.engine.view("localhost/a:1#2").unwrap().layers()[0];
            flip(&file(sample, "trees", Some(&tree.hex())), 30);
        },
        "tree",
        &["localhost/a:1"],
    );
}

#[test]
fn a_lost_pack_is_found_and_mended() {
    damaged(
        |sample| std::fs::remove_file(file(sample, "objects", None)).unwrap(),
        "object",
        &["localhost/a:1", "localhost/b:1"],
    );
}

#[test]
fn a_damaged_index_is_told_with_the_images_that_only_it_vouched_for() {
    let index = |sample: &Sample, at: usize| {
        let place = sample.engine.store().locate(&ObjectId::of(&[3; 70_000])).unwrap().unwrap();
        flip(&file(sample, "objects", Some(&format!("pack-{}.idx", place.pack))), at);
    };
    // The magic, and the id of the first entry.
    damaged(|sample| index(sample, 0), "index", &["localhost/b:1"]);
    damaged(|sample| index(sample, 64 + 32 + 4), "index", &["localhost/b:1"]);
}

#[test]
fn an_odd_file_among_the_references_stops_only_what_collects() {
    let sample = two_images();
    let refs = sample.directory.path().join("store/refs");
    std::fs::create_dir(refs.join("localhost%2fodd%3a1")).unwrap();
    std::fs::write(refs.join("junk"), b"junk").unwrap();
    let images = sample.engine.images().unwrap();
    assert_eq!((images.images.len(), images.damaged.len()), (2, 1));
    assert!(sample.engine.image("localhost/a:1").is_ok() && sample.engine.image("odd:1").is_err());
    let refused = |error: creel_manager::upkeep::UpkeepError| error.to_string();
    assert!(refused(sample.engine.prune(Scope::UnusedImages).unwrap_err()).contains("refs/junk"));
    assert!(refused(sample.engine.prunable(Scope::Garbage).unwrap_err()).contains("refs/junk"));
    assert_eq!(sample.engine.images().unwrap().images.len(), 2, "nothing went before it refused");
    let report = sample.engine.disk_usage().unwrap();
    assert_eq!((report.prunable_objects, report.images.len()), (None, 2));
    for mode in [StoreCheck::Check, StoreCheck::Repair] {
        let check = sample.again().check(mode).unwrap();
        let found: Vec<_> = check.problems.iter().map(|found| (found.what, &*found.name)).collect();
        assert_eq!(found, [("reference", "junk"), ("reference", "localhost/odd:1")]);
        assert_eq!(check.broken_images, ["localhost/odd:1"]);
    }
    assert_eq!(sample.again().check(StoreCheck::Check).unwrap().problems, []);
    sample.engine.prune(Scope::Garbage).unwrap();
}

/// Makes a store not open, and repairs it as the hint says. Returns what that found.
fn repaired(sample: &Sample, damage: impl Fn(&Path)) -> Check {
    let store = sample.directory.path().join("store");
    damage(&store);
    let refused = Sample::opened(sample.directory.path()).err().unwrap();
    let hint = refused.hint().unwrap();
    assert!(hint.starts_with(&format!("run `creel --store {} fsck --repair`", store.display())));
    sample.repair()
}

#[test]
fn a_store_that_does_not_open_is_repaired_as_the_hint_says() {
    let sample = two_images();
    let check = repaired(&sample, |store| {
        std::fs::remove_dir(store.join("checkouts")).unwrap();
        flip(&store.join("store.json"), 30);
    });
    let found: Vec<_> = check.problems.iter().map(|found| (found.what, &*found.name)).collect();
    assert_eq!(found, [("description", "store.json"), ("directory", "checkouts")]);
    assert_eq!(sample.repair().problems, []);
    let check = repaired(&sample, |store| {
        std::fs::remove_dir_all(store.join("objects")).unwrap();
    });
    assert!(check.problems[0].is_vital() && check.problems.len() > 1);
    assert_eq!(check.broken_images, ["localhost/a:1", "localhost/b:1"]);
    let sample = Sample { engine: sample.again(), ..sample };
    sample.image("localhost/a:1", &[BASE, &[("only-a", &[2; 50_000])]]);
    sample.image("localhost/b:1", &[BASE, &[("only-b", &[3; 70_000])]]);
    assert_eq!(sample.repair().problems, []);
}
