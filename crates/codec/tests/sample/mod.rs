//! The tree that the tests of images write.

use std::collections::HashMap;

use creel_base::digest::ObjectId;
use creel_codec::tree::{Entry, Kind, Meta, Tree, Xattr};

/// A tree with one of everything that is hard.
pub(crate) fn sample() -> (Tree, HashMap<ObjectId, Vec<u8>>) {
    let mut contents = HashMap::new();
    let mut entries = Vec::new();
    let mut add = |path: &[u8], meta: Meta, kind: Kind| {
        entries.push(Entry { path: path.into(), meta, kind });
    };
    let mut file = |content: Vec<u8>| {
        let object = ObjectId::of(&content);
        let size = content.len() as u64;
        contents.insert(object, content);
        Kind::File { size, object }
    };
    let plain = || Meta { mode: 0o755, mtime_s: 1_700_000_000, ..Meta::default() };
    let xattr =
        |name: &str, value: &[u8]| Xattr { name: name.as_bytes().into(), value: value.into() };
    let capability =
        xattr("security.capability", &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    add(b"", plain(), Kind::Directory { opaque: false, implied: false });
    for (index, size) in
        [0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 100_000, 3_000_000].into_iter().enumerate()
    {
        let content = (0..size).map(|i| (i * 31 + index) as u8).collect();
        add(format!("file-{size}").as_bytes(), plain(), file(content));
    }
    let mut sparse = vec![0; 1 << 20];
    sparse[700_000] = 1;
    add(b"sparse", plain(), file(sparse));
    add(
        b"owner",
        Meta { uid: 3_000_000_000, gid: 70_000, mode: 0o4711, ..plain() },
        file(b"x".to_vec()),
    );
    add(b"time", Meta { mtime_s: -5, mtime_ns: 123_456_789, ..plain() }, file(b"x".to_vec()));
    add(
        b"xattrs",
        Meta {
            xattrs: vec![
                capability.clone(),
                xattr("user.big", &[7; 6000]),
                xattr("user.one", b"1"),
            ],
            ..plain()
        },
        file(b"tail".to_vec()),
    );
    add(b"ping", Meta { xattrs: vec![capability], ..plain() }, file(b"ping".to_vec()));
    let first = 15;
    add(b"link-1", Meta::default(), Kind::HardLink { entry: first });
    add(
        b"odd \xff\n!name",
        plain(),
        Kind::Symlink { target: b"\xfe/odd target".as_slice().into() },
    );
    add(b"long-link", plain(), Kind::Symlink { target: vec![b't'; 4095].into() });
    add(b"-before-dot", plain(), Kind::Fifo);
    add(b"socket", plain(), Kind::Socket);
    add(b"char", plain(), Kind::CharDevice { major: 5, minor: 1 });
    add(b"block", plain(), Kind::BlockDevice { major: 259, minor: 70_000 });
    add(b"gone", Meta::default(), Kind::Whiteout);
    add(b"opaque", plain(), Kind::Directory { opaque: true, implied: false });
    add(b"many", plain(), Kind::Directory { opaque: false, implied: false });
    for index in 0..1000 {
        add(
            format!("many/name-{index}-{}", "n".repeat(index % 200)).as_bytes(),
            plain(),
            Kind::Symlink { target: vec![b't'; 1 + index % 300].into() },
        );
    }
    (Tree::from_unsorted(entries).unwrap(), contents)
}
