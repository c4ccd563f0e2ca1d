//! Images read back what was written, and damaged ones are refused without harm.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod sample;

use std::cell::RefCell;
use std::collections::HashMap;

use creel_base::digest::ObjectId;
use creel_codec::erofs::{
    self, Content, Device, Limits, Options, Placement, ReadError, WriteError,
};
use creel_codec::tree::{Entry, Kind, Meta, Tree};

/// Writes the sample with all larger files in one pack; returns the image and what is where.
fn image() -> (Tree, Vec<u8>, HashMap<u32, ObjectId>) {
    let (tree, contents) = sample::sample();
    let places = RefCell::new(HashMap::new());
    let next = RefCell::new(0);
    let place = |id: &ObjectId, size: u64| {
        if size <= 2048 {
            return Some(Placement::Inline(contents[id].clone()));
        }
        let block = next.replace_with(|next| *next + size.div_ceil(4096) as u32);
        places.borrow_mut().insert(block, *id);
        Some(Placement::Chunk { device: 0, block })
    };
    let options = Options {
        devices: vec![Device { tag: b"x".to_vec(), blocks: 1 << 20 }],
        ..Options::default()
    };
    let image = erofs::write(&tree, &place, &options).unwrap();
    assert_eq!(image.len() % 4096, 0);
    (tree, image, places.into_inner())
}

fn read(image: &[u8], places: &HashMap<u32, ObjectId>, limits: &Limits) -> Result<Tree, ReadError> {
    let object = |content: &Content| match content {
        Content::Inline(bytes) => Some(ObjectId::of(bytes)),
        Content::Chunk { block, .. } => places.get(block).copied(),
    };
    erofs::read(image, &object, limits)
}

#[test]
fn reads_back_what_was_written() {
    let (tree, image, places) = image();
    let back = read(&image, &places, &Limits::default()).unwrap();
    assert!(back == tree, "trees differ");
}

#[test]
fn damage_never_panics() {
    let (_, image, places) = image();
    let limits = Limits { entries: 5000, ..Limits::default() };
    for at in (1024..image.len()).step_by(1999) {
        let mut damaged = image.clone();
        damaged[at] ^= 1 << (at % 8);
        let _ = read(&damaged, &places, &limits);
    }
    for length in [0, 1, 1023, 1024, 1152, 4095, 4096, image.len() - 4096] {
        assert!(read(&image[..length], &places, &limits).is_err(), "{length}");
    }
}

#[test]
fn limits_hold() {
    let (_, image, places) = image();
    for limits in [
        Limits { entries: 100, ..Limits::default() },
        Limits { path_bytes: 50, ..Limits::default() },
        Limits { all_paths_bytes: 1000, ..Limits::default() },
        Limits { xattr_bytes: 100, ..Limits::default() },
    ] {
        let refused = read(&image, &places, &limits);
        assert!(matches!(refused, Err(ReadError::TooLarge(_))), "{limits:?}");
    }
}

#[test]
fn refuses_what_an_image_cannot_hold() {
    let root = Entry {
        path: [].into(),
        meta: Meta::default(),
        kind: Kind::Directory { opaque: false, implied: false },
    };
    let id = ObjectId::of(b"x");
    for (kind, placement) in [
        (Kind::CharDevice { major: 0, minor: 0 }, None),
        (Kind::CharDevice { major: 4096, minor: 0 }, None),
        (Kind::LowerLink { path: b"y".as_slice().into() }, None),
        (Kind::File { size: 1, object: id }, None),
        (Kind::File { size: 1, object: id }, Some(Placement::Inline(vec![]))),
        (Kind::File { size: 1, object: id }, Some(Placement::Chunk { device: 0, block: 0 })),
    ] {
        let entry = Entry { path: b"x".as_slice().into(), meta: Meta::default(), kind };
        let tree = Tree { entries: vec![root.clone(), entry] };
        let refused: Result<_, WriteError> =
            erofs::write(&tree, &|_, _| placement.clone(), &Options::default());
        assert!(refused.is_err(), "{tree:?}");
    }
}

/// A small image without packs: the seed of the fuzz target.
fn small() -> (Tree, Vec<u8>) {
    let entry =
        |path: &str, kind| Entry { path: path.as_bytes().into(), meta: Meta::default(), kind };
    let file = Kind::File { size: 1, object: ObjectId::of(b"x") };
    let tree = Tree::from_unsorted(vec![
        entry("", Kind::Directory { opaque: false, implied: false }),
        entry("d", Kind::Directory { opaque: true, implied: false }),
        entry("d/f", file),
        entry("d/g", Kind::HardLink { entry: 2 }),
        entry("l", Kind::Symlink { target: b"d/f".as_slice().into() }),
        entry("w", Kind::Whiteout),
    ])
    .unwrap();
    let place = |_: &ObjectId, _| Some(Placement::Inline(b"x".to_vec()));
    let image = erofs::write(&tree, &place, &Options::default()).unwrap();
    (tree, image)
}

#[test]
fn golden_image_is_stable() {
    let (tree, image) = small();
    assert!(image == include_bytes!("golden/small.erofs"), "the image of a tree changed");
    assert_eq!(read(&image, &HashMap::new(), &Limits::default()), Ok(tree));
}
