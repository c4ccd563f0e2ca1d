//! Archives read as layers: what is taken, what is refused.

#![allow(clippy::unwrap_used, clippy::panic)]

use creel_base::digest::ObjectId;
use creel_codec::layer::{LayerError, LayerReader, LayerSink, Limits};
use creel_codec::tree::{Kind, Tree};

/// Keeps all that comes, and the archive put together again.
#[derive(Default)]
struct Keep {
    archive: Vec<u8>,
    file: Vec<u8>,
    files: Vec<Vec<u8>>,
}

impl LayerSink for Keep {
    type Error = std::io::Error;

    fn begin(&mut self, _size: u64) -> Result<(), Self::Error> {
        self.file.clear();
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Self::Error> {
        self.archive.extend_from_slice(data);
        self.file.extend_from_slice(data);
        Ok(())
    }

    fn hole(&mut self, length: u64) -> Result<(), Self::Error> {
        self.file.resize(self.file.len() + length as usize, 0);
        Ok(())
    }

    fn end(&mut self) -> Result<ObjectId, Self::Error> {
        self.files.push(self.file.clone());
        Ok(ObjectId::of(&self.file))
    }

    fn verbatim(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.archive.extend_from_slice(bytes);
        Ok(())
    }
}

fn read_with(tar: &[u8], limits: Limits, step: usize) -> Result<Tree, LayerError> {
    let mut keep = Keep::default();
    let mut reader = LayerReader::new(limits);
    for piece in tar.chunks(step) {
        reader.feed(piece, &mut keep)?;
    }
    let tree = reader.finish(&mut keep)?;
    assert_eq!(keep.archive, tar, "the pieces are not the archive");
    Ok(tree)
}

/// Reads an archive in pieces of several sizes, which must not matter.
fn read(tar: &[u8]) -> Result<Tree, LayerError> {
    let tree = read_with(tar, Limits::default(), usize::MAX);
    for step in [1, 511, 513] {
        match (&tree, read_with(tar, Limits::default(), step)) {
            (Ok(whole), Ok(pieces)) => assert_eq!(*whole, pieces),
            (Err(whole), Err(pieces)) => assert_eq!(whole.to_string(), pieces.to_string()),
            (whole, pieces) => panic!("{whole:?} {pieces:?}"),
        }
    }
    tree
}

/// A tar being written.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    /// Adds a header, changed by `change` before its checksum is made, and content.
    fn raw(mut self, name: &str, kind: u8, data: &[u8], change: impl Fn(&mut [u8])) -> Self {
        let mut block = [0u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0001750\0");
        block[116..124].copy_from_slice(b"0001751\0");
        block[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
        block[136..148].copy_from_slice(b"00000000017\0");
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        change(&mut block);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn add(self, name: &str, kind: u8, data: &[u8]) -> Self {
        self.raw(name, kind, data, |_| {})
    }

    fn file(self, name: &str, data: &[u8]) -> Self {
        self.add(name, b'0', data)
    }

    fn dir(self, name: &str) -> Self {
        self.add(name, b'5', b"")
    }

    fn link(self, name: &str, kind: u8, target: &str) -> Self {
        self.raw(name, kind, b"", |block| {
            block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        })
    }

    fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let mut length = key.len() + value.len() + 3;
            length += length.to_string().len();
            if length.to_string().len() + key.len() + value.len() + 3 != length {
                length = key.len() + value.len() + 3 + length.to_string().len();
            }
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.add("pax", kind, &data)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn tar() -> Tar {
    Tar::default()
}

/// One line an entry: path, then what it is.
fn show(tree: &Tree) -> Vec<String> {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let show = |kind: &Kind| match kind {
        Kind::Directory { opaque, implied } => {
            format!(
                "dir{}{}",
                if *opaque { " opaque" } else { "" },
                if *implied { " implied" } else { "" }
            )
        }
        Kind::File { size, .. } => format!("file {size}"),
        Kind::Symlink { target } => format!("-> {}", text(target)),
        Kind::HardLink { entry } => format!("= {entry}"),
        Kind::LowerLink { path } => format!("lower {}", text(path)),
        other => format!("{other:?}"),
    };
    tree.entries
        .iter()
        .map(|entry| format!("{}: {}", text(&entry.path), show(&entry.kind)))
        .collect()
}

#[track_caller]
fn takes(tar: Tar, expected: &[&str]) -> Tree {
    let tree = read(&tar.end()).unwrap();
    let lines = show(&tree);
    assert_eq!(lines, expected);
    tree
}

#[track_caller]
fn refuses(tar: Tar, because: &str) {
    refuses_bytes(&tar.end(), because);
}

#[track_caller]
fn refuses_bytes(tar: &[u8], because: &str) {
    let error = read(tar).unwrap_err().to_string();
    assert!(error.contains(because), "{error}");
}

#[test]
fn plain_entries_and_metadata() {
    let tree = takes(
        tar()
            .dir("./")
            .dir("./d/")
            .file("./d/f", b"hello")
            .link("s", b'2', "d/f")
            .add("p", b'6', b""),
        &[": dir", "d: dir", "d/f: file 5", "p: Fifo", "s: -> d/f"],
    );
    let meta = &tree.get(b"d/f").unwrap().meta;
    assert_eq!((meta.mode, meta.uid, meta.gid, meta.mtime_s), (0o644, 1000, 1001, 15));
}

#[test]
fn implied_parents() {
    takes(
        tar().file("a/b/c", b""),
        &[": dir implied", "a: dir implied", "a/b: dir implied", "a/b/c: file 0"],
    );
    takes(tar().file("a/b", b"").dir("a"), &[": dir implied", "a: dir", "a/b: file 0"]);
}

#[test]
fn pax_records_override_headers() {
    let records: [(&str, &[u8]); 6] = [
        ("path", b"long/\xffname"),
        ("mtime", b"-1.5"),
        ("uid", b"3000000000"),
        ("size", b"3"),
        ("SCHILY.xattr.user.a", b"1"),
        ("SCHILY.xattr.security.selinux", b"label"),
    ];
    let t = tar().pax(b'g', &[("gid", b"7"), ("comment", b"x")]).pax(b'x', &records);
    // The size is in the extension only: what follows is content, not a header.
    let t = t.raw("short", b'0', b"abc", |block| block[124..136].fill(b'0')).file("next", b"");
    let tree =
        takes(t, &[": dir implied", "long: dir implied", "long/\\xffname: file 3", "next: file 0"]);
    let meta = &tree.get(b"long/\xffname").unwrap().meta;
    assert_eq!(
        (meta.uid, meta.gid, meta.mtime_s, meta.mtime_ns),
        (3_000_000_000, 7, -2, 500_000_000)
    );
    assert_eq!(meta.xattrs.len(), 1);
    assert_eq!(tree.get(b"next").unwrap().meta.gid, 7);
}

#[test]
fn gnu_long_names() {
    let long = "n/".repeat(100) + "x\0";
    let tree = read(&tar().add("L", b'L', long.as_bytes()).file("n", b"1").end()).unwrap();
    assert_eq!(tree.entries.len(), 102);
    takes(
        tar().add("K", b'K', b"target\0").link("s", b'2', "t"),
        &[": dir implied", "s: -> target"],
    );
}

#[test]
fn duplicates_last_wins() {
    takes(tar().file("a", b"1").file("a", b"22"), &[": dir implied", "a: file 2"]);
    takes(tar().dir("a").file("a/b", b"").file("a", b""), &[": dir implied", "a: file 0"]);
    takes(
        tar().file("a", b"").dir("a").file("a/b", b""),
        &[": dir implied", "a: dir", "a/b: file 0"],
    );
}

#[test]
fn directory_replaced_and_made_again_is_empty() {
    let t = tar().file("a/b", b"").file("a", b"").dir("a").file("a/c", b"");
    takes(t, &[": dir implied", "a: dir", "a/c: file 0"]);
}

#[test]
fn hard_links() {
    let t = tar().file("b", b"1").link("a", b'1', "/b").link("c", b'1', "./a");
    takes(t, &[": dir implied", "a: file 1", "b: = 1", "c: = 1"]);
    takes(tar().link("a", b'1', "x/y"), &[": dir implied", "a: lower x/y"]);
    takes(tar().link("a", b'1', "z").file("z", b"1"), &[": dir implied", "a: file 1", "z: = 1"]);
    takes(tar().link("s", b'2', "t").link("l", b'1', "s"), &[": dir implied", "l: -> t", "s: = 1"]);
    // The link keeps the file that its target was when the link came.
    let t = tar().file("a", b"1").link("b", b'1', "a").file("a", b"22");
    takes(t, &[": dir implied", "a: file 2", "b: file 1"]);
}

#[test]
fn hard_links_refused() {
    refuses(tar().dir("d").link("l", b'1', "d"), "it is a directory");
    refuses(tar().link("l", b'1', "d").dir("d"), "it is a directory");
    refuses(tar().link("l", b'1', "l"), "itself");
    refuses(tar().link("a", b'1', "b").link("b", b'1', "a"), "circle");
    refuses(tar().link("a", b'1', "../b"), "`..`");
    refuses(tar().link("a", b'1', ".wh.b"), "whiteout");
    refuses(tar().file(".wh.b", b"").link("a", b'1', "b"), "removes it");
    refuses(tar().raw("a", b'1', b"data", |block| block[157] = b'b').file("b", b""), "content");
}

#[test]
fn whiteouts() {
    takes(tar().file("d/.wh.a", b""), &[": dir implied", "d: dir implied", "d/a: Whiteout"]);
    takes(tar().file("d/.wh..wh..opq", b""), &[": dir implied", "d: dir opaque implied"]);
    takes(tar().file(".wh..wh..opq", b"").dir("."), &[": dir opaque"]);
    for t in [tar().file(".wh.a", b"").dir("a"), tar().dir("a").file(".wh.a", b"")] {
        takes(t, &[": dir implied", "a: dir opaque"]);
    }
    for t in [tar().file(".wh.a", b"").file("a", b""), tar().file("a", b"").file(".wh.a", b"")] {
        takes(t, &[": dir implied", "a: file 0"]);
    }
    takes(
        tar().dir(".wh..wh.plnk").file(".wh..wh.plnk/1", b"x").file(".wh..wh.aufs", b""),
        &[": dir implied"],
    );
    takes(tar().file("d/.wh.a", b"").link("d", b'2', "x"), &[": dir implied", "d: -> x"]);
}

#[test]
fn whiteouts_refused() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh."] {
        refuses(tar().file(name, b""), "whiteout of nothing");
    }
    refuses(tar().file(".wh.a/b", b""), "below a whiteout");
    refuses(tar().file("a", b"").file("a/.wh.b", b""), "no directory");
}

#[test]
fn names_refused() {
    refuses(tar().file("../a", b""), "`..`");
    refuses(tar().file("a/../b", b""), "`..`");
    refuses(tar().file("", b""), "empty");
    refuses(tar().pax(b'x', &[("path", b"a\0b")]).file("a", b""), "NUL");
    refuses(tar().pax(b'x', &[("path", &[b'x'; 256])]).file("a", b""), "too long");
    refuses(tar().pax(b'x', &[("path", &b"xxxxxxxx/".repeat(500))]).file("a", b""), "too long");
    refuses(tar().pax(b'x', &[("path", &b"x/".repeat(1500))]).file("a", b""), "too deep");
    refuses(tar().file("/x/..", b""), "`..`");
    refuses(tar().add("l", b'2', b""), "symbolic link");
    refuses(tar().link(".", b'2', "x"), "root is no directory");
    refuses(tar().pax(b'x', &[("path", b".")]).file("a", b""), "root is no directory");
}

#[test]
fn below_a_non_directory() {
    refuses(tar().file("a", b"").file("a/b", b""), "no directory");
    refuses(tar().link("a", b'2', "/etc").file("a/passwd", b""), "no directory");
    refuses(tar().link("a", b'1', "b").file("a/b", b""), "no directory");
}

#[test]
fn devices() {
    let device = |major: &'static [u8], minor: &'static [u8]| {
        tar().raw("n", b'3', b"", move |block| {
            block[329..329 + major.len()].copy_from_slice(major);
            block[337..337 + minor.len()].copy_from_slice(minor);
        })
    };
    takes(
        device(b"0000001\0", b"0000003\0"),
        &[": dir implied", "n: CharDevice { major: 1, minor: 3 }"],
    );
    refuses(device(b"", b""), "0:0");
    refuses(device(b"0000009x", b""), "device number");
}

#[test]
fn numbers_refused() {
    let field = |at: usize, value: &'static [u8]| {
        tar().raw("n", b'0', b"", move |block| block[at..at + value.len()].copy_from_slice(value))
    };
    refuses(field(100, b"00009x\0"), "mode");
    refuses(field(108, b"\x80\0\0\x01\0\0\0\0"), "owner");
    refuses(field(108, b"\xff\xff\xff\xff\xff\xff\xff\xff"), "owner");
    refuses(field(116, b"\x80\0\0\0\xff\xff\xff\xff"), "group");
    refuses(field(124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "size");
    refuses(tar().pax(b'x', &[("uid", b"4294967296")]).file("a", b""), "owner");
    refuses(tar().pax(b'x', &[("uid", b"-1")]).file("a", b""), "uid");
    let old = tar().raw("n", b'0', b"", |block| block[136..148].fill(0xff)).end();
    assert_eq!(read(&old).unwrap().get(b"n").unwrap().meta.mtime_s, -1);
}

#[test]
fn pax_and_gnu_smuggling() {
    let x: [(&str, &[u8]); 1] = [("size", b"1024")];
    refuses(
        tar().pax(b'x', &x).add("L", b'L', b"name\0").file("a", b""),
        "extension of an extension",
    );
    refuses(tar().add("L", b'L', b"name\0").pax(b'x', &x).file("a", b""), "PAX and GNU");
    refuses(tar().pax(b'x', &x).pax(b'x', &x).file("a", b""), "two extended headers");
    refuses(tar().pax(b'x', &x).pax(b'g', &[]).file("a", b""), "extension of an extension");
    refuses(tar().add("L", b'L', b"a\0").add("L", b'L', b"b\0").file("a", b""), "two long names");
    refuses(tar().add("L", b'L', b"a\0b").file("a", b""), "NUL");
    refuses(tar().add("L", b'L', b"").file("a", b""), "empty");
    refuses(tar().pax(b'g', &x).file("a", b""), "global");
    refuses(tar().pax(b'x', &[("size", b"512")]).file("a", b"x"), "differ");
    refuses(tar().pax(b'x', &[("path", b"a"), ("path", b"b")]).file("a", b""), "twice");
    refuses(tar().add("x", b'x', b"99 path=a\n").file("a", b""), "beyond the end");
    refuses(tar().add("d", b'5', b"hidden"), "content");
    refuses(tar().add("s", b'0', b"").add("d/", b'0', b"hidden"), "content");
}

#[test]
fn dangling_extensions() {
    refuses(tar().pax(b'x', &[("uid", b"1")]), "extends nothing");
    refuses(tar().add("L", b'L', b"a\0"), "extends nothing");
    refuses_bytes(&tar().pax(b'x', &[("uid", b"1")]).0, "inside an extended entry");
}

#[test]
fn attributes_refused() {
    for name in ["trusted.overlay.opaque", "user.overlay.whiteout", "trusted.erofs.x", ""] {
        refuses(
            tar().pax(b'x', &[(&format!("SCHILY.xattr.{name}"), b"y")]).file("a", b""),
            "attribute",
        );
    }
    let both: [(&str, &[u8]); 2] =
        [("SCHILY.xattr.user.a", b"1"), ("LIBARCHIVE.xattr.user.a", b"Mg")];
    refuses(tar().pax(b'x', &both).file("a", b""), "two values");
    let big = vec![0; 65537];
    refuses(tar().pax(b'x', &[("SCHILY.xattr.user.a", &big)]).file("a", b""), "64 KiB");
}

#[test]
fn truncated_archives() {
    let whole = tar().file("a", &[1; 700]).0;
    for end in [1, 511] {
        refuses_bytes(&whole[..end], "inside a header");
    }
    for end in [512, 513, 1100, 1300, 1535] {
        refuses_bytes(&whole[..end], "inside an entry");
    }
    refuses_bytes(&tar().pax(b'x', &[("uid", b"1")]).0[..515], "inside an extension");
}

#[test]
fn ends_of_archives() {
    let whole = tar().file("a", b"").0;
    let zeros = |count| [&whole[..], &vec![0; count]].concat();
    for count in [0, 512, 1024, 9216, 100] {
        assert_eq!(read(&zeros(count)).is_ok(), count != 100, "{count}");
    }
    // Concatenated archives: the second is not looked at.
    let two = [zeros(1024), tar().file("b", b"").end()].concat();
    assert_eq!(read(&two).unwrap().entries.len(), 2);
    refuses_bytes(&[zeros(512), whole.clone()].concat(), "half an end mark");
    assert_eq!(read(b"").unwrap().entries.len(), 1);
    let garbage = [zeros(1024), vec![1; 100]].concat();
    let limits = Limits { trailing_bytes: 99, ..Limits::default() };
    assert!(matches!(read_with(&garbage, limits, 7), Err(LayerError::TooLarge { .. })));
    assert!(read(&garbage).is_ok());
}

#[test]
fn checksums_and_types_refused() {
    refuses_bytes(&[1; 512], "checksum");
    for kind in [b'M', b'D', b'N', b'Z', b'8', 0xff] {
        refuses(tar().add("a", kind, b""), "not supported");
    }
    takes(tar().add("label", b'V', b""), &[": dir implied"]);
    takes(
        tar().add("a", 0, b"x").add("b", b'7', b"x"),
        &[": dir implied", "a: file 1", "b: file 1"],
    );
}

#[test]
fn limits_hold() {
    let t = tar()
        .file("a/b", &[0; 100])
        .pax(b'x', &[("SCHILY.xattr.user.a", b"1")])
        .file("c", b"")
        .end();
    let default = Limits::default;
    for (limits, what) in [
        (Limits { total_bytes: 99, ..default() }, "bytes"),
        (Limits { entries: 3, ..default() }, "entries"),
        (Limits { depth: 1, ..default() }, "deep"),
        (Limits { name_bytes: 2, ..default() }, "names"),
        (Limits { path_bytes: 4, ..default() }, "paths"),
        (Limits { xattr_bytes: 6, ..default() }, "attributes"),
        (Limits { extension_bytes: 20, ..default() }, "extension"),
    ] {
        let error = read_with(&t, limits, usize::MAX).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn sparse_files() {
    let content = [vec![0; 512], vec![7; 3], vec![0; 485]].concat();
    let object = ObjectId::of(&content);
    let in_header = |map: &'static str| {
        tar().raw("s", b'S', &[7; 3], move |block| {
            block[257..265].copy_from_slice(b"ustar  \0");
            block[386..410].copy_from_slice(map.as_bytes());
            block[483..495].copy_from_slice(b"00000001750\0");
        })
    };
    let pax = |records: &[(&str, &[u8])], data: &[u8]| tar().pax(b'x', records).file("x", data);
    let map = [b"1\n512\n3\n".to_vec(), vec![0; 504], vec![7; 3]].concat();
    let good = [
        in_header("00000001000\x0000000000003\0"),
        pax(
            &[
                ("GNU.sparse.size", b"1000"),
                ("GNU.sparse.numblocks", b"1"),
                ("GNU.sparse.offset", b"512"),
                ("GNU.sparse.numbytes", b"3"),
                ("path", b"s"),
            ],
            &[7; 3],
        ),
        pax(
            &[
                ("GNU.sparse.size", b"1000"),
                ("GNU.sparse.map", b"512,3,1000,0"),
                ("GNU.sparse.name", b"s"),
            ],
            &[7; 3],
        ),
        pax(
            &[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.realsize", b"1000"),
                ("GNU.sparse.name", b"s"),
            ],
            &map,
        ),
    ];
    for t in good {
        let tree = takes(t, &[": dir implied", "s: file 1000"]);
        assert_eq!(tree.get(b"s").unwrap().kind, Kind::File { size: 1000, object });
    }
    let one =
        |map: &'static [u8]| pax(&[("GNU.sparse.size", b"1000"), ("GNU.sparse.map", map)], &[7; 3]);
    refuses(one(b"998,3"), "beyond the file");
    refuses(one(b"18446744073709551615,3"), "beyond the file");
    refuses(one(b"5,2,6,1"), "not in order");
    refuses(one(b"5,4"), "does not fit");
    refuses(one(b"5,3,6"), "odd");
    refuses(one(b"5,x"), "number");
    refuses(in_header("00000001000\x0000000000004\0"), "does not fit");
    let huge: [(&str, &[u8]); 2] =
        [("GNU.sparse.size", b"18446744073709551615"), ("GNU.sparse.map", b"0,3")];
    refuses(pax(&huge, &[7; 3]), "bytes of files");
    refuses(pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.size", b"1")], b""), "version");
    refuses(pax(&[("SCHILY.realsize", b"9")], b""), "star");
}

#[test]
fn archives_of_python_are_read() {
    for (name, entries) in [("ustar", 6), ("gnu", 8), ("pax", 8)] {
        let path = format!("{}/../../fuzz/seeds/tar/{name}", env!("CARGO_MANIFEST_DIR"));
        let tree = read(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(tree.get(b"d/h").unwrap().kind, Kind::HardLink { entry: 2 });
        assert_eq!(tree.get(b"d/gone").unwrap().kind, Kind::Whiteout);
        assert_eq!(tree.entries[0].kind, Kind::Directory { opaque: true, implied: true });
        assert_eq!(tree.entries.len(), entries, "{name}");
    }
}
