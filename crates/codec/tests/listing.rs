//! The listing's bytes and digests never change, and only canonical bytes are read.

use creel_base::digest::ObjectId;
use creel_codec::listing::{self, Limits, ListingError};
use creel_codec::tree::{Entry, Kind, Meta, Tree, Xattr};

const GOLDEN: &[u8] = include_bytes!("golden/tree.listing");
const GOLDEN_ID: &str = "55ac23de1c9390b2f0fb0206e3efc6a1262bbe58faa1246b1c24d1df2385616c";

/// A tree with every kind, flag and field.
fn sample() -> Tree {
    let meta = Meta {
        mode: 0o6755,
        uid: 70_000,
        gid: u32::MAX,
        mtime_s: -1,
        mtime_ns: 999_999_999,
        xattrs: vec![
            Xattr { name: b"security.capability".as_slice().into(), value: [1, 0, 2].into() },
            Xattr { name: b"user.empty".as_slice().into(), value: [].into() },
        ],
    };
    let plain = Meta { mode: 0o644, mtime_s: 1_700_000_000, ..Meta::default() };
    let bytes = |text: &[u8]| -> Box<[u8]> { text.into() };
    let entries = [
        ("", plain.clone(), Kind::Directory { opaque: false, implied: false }),
        ("block", plain.clone(), Kind::BlockDevice { major: 8, minor: 300 }),
        ("char", plain.clone(), Kind::CharDevice { major: 5, minor: 1 }),
        ("dir", plain.clone(), Kind::Directory { opaque: true, implied: false }),
        ("dir/implied", plain.clone(), Kind::Directory { opaque: false, implied: true }),
        ("dir/implied/file", meta, Kind::File { size: 1 << 40, object: ObjectId::of(b"a") }),
        ("dir.fifo", plain.clone(), Kind::Fifo),
        ("gone", Meta::default(), Kind::Whiteout),
        ("hard", Meta::default(), Kind::HardLink { entry: 5 }),
        ("lower", Meta::default(), Kind::LowerLink { path: bytes(b"usr/bin/x") }),
        ("socket", plain.clone(), Kind::Socket),
        ("symlink", plain, Kind::Symlink { target: bytes(b"\xff/..") }),
    ];
    let entry =
        |(path, meta, kind): (&str, _, _)| Entry { path: path.as_bytes().into(), meta, kind };
    Tree { entries: entries.map(entry).into() }
}

#[test]
fn bytes_and_digest_are_stable() {
    let listing = listing::encode(&sample()).unwrap();
    assert!(listing == GOLDEN, "the encoding changed: it needs a new version number");
    assert_eq!(listing::id(&listing).hex(), GOLDEN_ID);
    assert_eq!(listing::decode(GOLDEN, &Limits::default()), Ok(sample()));
}

#[test]
fn objects_are_found_without_a_tree() {
    let found: Result<Vec<_>, _> = listing::objects(GOLDEN, &Limits::default()).unwrap().collect();
    assert_eq!(found, Ok(vec![(ObjectId::of(b"a"), 1 << 40)]));
    let cut = &GOLDEN[..GOLDEN.len() - 1];
    let last = listing::objects(cut, &Limits::default()).unwrap().last().unwrap();
    assert_eq!(last, Err(ListingError::Truncated));
}

/// Whatever is read is written back byte for byte, so that no two listings name one tree.
#[test]
fn altered_bytes_are_refused_or_canonical() {
    for at in 0..GOLDEN.len() {
        assert!(listing::decode(&GOLDEN[..at], &Limits::default()).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut altered = GOLDEN.to_vec();
            altered[at] ^= 1 << bit;
            if let Ok(tree) = listing::decode(&altered, &Limits::default()) {
                assert_eq!(listing::encode(&tree).unwrap(), altered, "bit {bit} at {at}");
            }
        }
    }
    let longer = [GOLDEN, &[0]].concat();
    assert_eq!(listing::decode(&longer, &Limits::default()), Err(ListingError::TrailingBytes(1)));
}

#[test]
fn limits_hold() {
    for limits in [
        Limits { entries: 11, ..Limits::default() },
        Limits { path_bytes: 15, ..Limits::default() },
        Limits { all_paths_bytes: 60, ..Limits::default() },
    ] {
        let refused = listing::decode(GOLDEN, &limits);
        assert!(matches!(refused, Err(ListingError::TooLarge(_))), "{refused:?}");
    }
    // A count of four billion entries with nothing behind it reserves no memory.
    let lying = [&b"creeltr\x01"[..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    let all = Limits { entries: u32::MAX, ..Limits::default() };
    assert_eq!(listing::decode(&lying, &all), Err(ListingError::Truncated));
}
