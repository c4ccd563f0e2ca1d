//! Trees written as archives and read again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod sample;

use std::collections::HashMap;
use std::convert::Infallible;

use creel_base::digest::ObjectId;
use creel_codec::layer::{self, LayerReader, LayerSink, Limits};
use creel_codec::tree::{Entry, Kind, Meta, Tree, Xattr};
use sample::sample;

/// Only names contents.
struct Names(Vec<u8>);

#[derive(Debug)]
struct Never(Infallible);

impl From<Never> for layer::SinkError {
    fn from(never: Never) -> Self {
        match never.0 {}
    }
}

impl LayerSink for Names {
    type Error = Never;

    fn begin(&mut self, _size: u64) -> Result<(), Never> {
        self.0.clear();
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Never> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn hole(&mut self, _length: u64) -> Result<(), Never> {
        panic!("holes are written as zeros")
    }

    fn end(&mut self) -> Result<ObjectId, Never> {
        Ok(ObjectId::of(&self.0))
    }

    fn verbatim(&mut self, _bytes: &[u8]) -> Result<(), Never> {
        Ok(())
    }
}

fn write(tree: &Tree, contents: &HashMap<ObjectId, Vec<u8>>) -> Vec<u8> {
    let mut archive = Vec::new();
    for (index, entry) in tree.entries.iter().enumerate() {
        archive.extend(layer::member(tree, index).unwrap());
        if let Kind::File { size, object } = &entry.kind {
            archive.extend(&contents[object]);
            archive.resize(archive.len() + layer::padding(*size), 0);
        }
    }
    archive.extend(layer::END);
    archive
}

fn read(archive: &[u8]) -> Tree {
    let mut names = Names(Vec::new());
    let mut reader = LayerReader::new(Limits::default());
    reader.feed(archive, &mut names).unwrap();
    reader.finish(&mut names).unwrap()
}

fn entry(path: &[u8], meta: Meta, kind: Kind) -> Entry {
    Entry { path: path.into(), meta, kind }
}

fn root() -> Entry {
    let meta = Meta { mode: 0o700, ..Meta::default() };
    entry(b"", meta, Kind::Directory { opaque: false, implied: false })
}

#[test]
fn what_is_written_is_read_again() {
    let (mut tree, contents) = sample();
    let before = tree.entries.len();
    // The only links of the sample are after its socket, so none of them names another entry then.
    let socket = tree.find(b"socket").unwrap();
    let leaders = tree.entries.iter().filter_map(|entry| match entry.kind {
        Kind::HardLink { entry } => Some(entry as usize),
        _ => None,
    });
    assert!(leaders.into_iter().all(|leader| leader < socket));
    tree.entries.retain(|entry| entry.kind != Kind::Socket);
    assert_eq!(tree.entries.len(), before - 1);
    let archive = write(&tree, &contents);
    assert_eq!(archive.len() % 512, 0);
    assert!(read(&archive) == tree);
    assert_eq!(write(&tree, &contents), archive);
}

#[test]
fn what_is_hard_to_say_is_said() {
    let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.into(), value: value.into() };
    let mut xattrs = vec![
        xattr(b"user.a=b%c\n", b"\0\xff="),
        xattr(b"user.plain", b"line\nfeed=\0"),
        xattr(b"user.empty", b""),
    ];
    xattrs.sort_unstable();
    let deep = [&[b'd'; 200][..], b"/", &[b'\xfe'; 255]].concat();
    let hidden = [b'w'; 251];
    let implied = Kind::Directory { opaque: true, implied: true };
    let tree = Tree::from_unsorted(vec![
        root(),
        entry(&[b'd'; 200], Meta { mode: 0o755, ..Meta::default() }, implied),
        entry(&deep, Meta { xattrs, mtime_s: i64::MAX, ..Meta::default() }, Kind::Fifo),
        entry(b"device", Meta::default(), Kind::BlockDevice { major: u32::MAX, minor: 1 << 21 }),
        entry(b"lower", Meta::default(), Kind::LowerLink { path: b"gone/there".as_slice().into() }),
        entry(&hidden, Meta::default(), Kind::Whiteout),
    ])
    .unwrap();
    assert_eq!(read(&write(&tree, &HashMap::new())), tree);
}

#[test]
fn an_empty_layer_is_an_empty_archive() {
    let meta = Meta { mode: 0o755, ..Meta::default() };
    let root = entry(b"", meta, Kind::Directory { opaque: false, implied: true });
    let tree = Tree { entries: vec![root] };
    assert_eq!(write(&tree, &HashMap::new()), layer::END);
    assert_eq!(read(&layer::END), tree);
}

#[test]
fn what_cannot_be_said_is_refused() {
    let meta = Meta::default;
    let mark = vec![Xattr {
        name: b"trusted.overlay.opaque".as_slice().into(),
        value: b"y".as_slice().into(),
    }];
    let large = (0..20).map(|n| Xattr {
        name: format!("user.{n:02}").into_bytes().into(),
        value: vec![0; 65536].into(),
    });
    for bad in [
        entry(b"a", meta(), Kind::Socket),
        entry(b"a", meta(), Kind::CharDevice { major: 0, minor: 0 }),
        entry(b".wh.a", meta(), Kind::Fifo),
        entry(&[b'w'; 252], meta(), Kind::Whiteout),
        entry(b"a", Meta { xattrs: mark, ..meta() }, Kind::Fifo),
        entry(b"a", Meta { xattrs: large.collect(), ..meta() }, Kind::Fifo),
        entry(b"a", Meta { mtime_s: i64::MIN, ..meta() }, Kind::Fifo),
    ] {
        let tree = Tree::from_unsorted(vec![root(), bad]).unwrap();
        assert!(layer::member(&tree, 1).is_err(), "{:?}", tree.entries[1].kind);
    }
}

/// The digests of layers that were committed once must stay the same.
#[test]
fn golden_archive() {
    let (mut tree, contents) = sample();
    tree.entries.retain(|entry| entry.kind != Kind::Socket);
    let archive = write(&tree, &contents);
    let digest = ObjectId::of(&archive).hex();
    assert_eq!(digest, "3895004c903ba8c82f2a3f7069d7c46a2d54394333c377d13283b76f6165045b");
}
