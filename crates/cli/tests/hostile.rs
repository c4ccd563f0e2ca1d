//! Hostile archives and images, as whoever pulls or imports them sees it: a clear refusal, and
//! nothing half-made.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod shared;

use creel_codec::compress::Compression;
use creel_testkit::image::Image;
use creel_testkit::tar::{Entry, Tar};
use shared::Host;

/// An archive, and what its refusal must name: the file and the reason.
struct Case {
    tar: Vec<u8>,
    names: &'static [&'static str],
}

fn case(tar: Tar, names: &'static [&'static str]) -> Case {
    Case { tar: tar.finish(), names }
}

fn tar() -> Tar {
    Tar::new().with(Entry::dir("etc")).with(Entry::file("etc/ok", "x"))
}

/// Whoever writes an archive can lie about where its files go.
fn escapes() -> Vec<Case> {
    let through = |entry: Entry| tar().with(Entry::symlink("out", "/tmp")).with(entry);
    vec![
        case(tar().with(Entry::file("../canary", "x")), &["../canary", "`..`"]),
        case(tar().with(Entry::file("etc/../../canary", "x")), &["canary", "`..`"]),
        case(tar().with(Entry::file("/etc/../../canary", "x")), &["canary", "`..`"]),
        case(through(Entry::file("out/canary", "x")), &["out/canary", "no directory"]),
        case(through(Entry::dir("out/canary")), &["out/canary", "no directory"]),
        case(through(Entry::file("out/.wh.canary", "")), &["out", "no directory"]),
        case(tar().with(Entry::hardlink("l", "../../etc/shadow")), &["../../etc/shadow", "`..`"]),
        case(tar().with(Entry::hardlink("l", "etc")), &["`l`", "`etc`", "directory"]),
        case(tar().with(Entry::file("etc/ok/below", "x")), &["etc/ok/below", "no directory"]),
        case(tar().with(Entry::file("a", "").pax("path", "../canary")), &["../canary", "`..`"]),
    ]
}

/// Two readers could understand these archives differently.
fn smuggling() -> Vec<Case> {
    let records = |text: &str| Entry { data: text.into(), ..Entry::new("x", b'x', 0o644) };
    let long_name = |name: &str| Entry { data: name.into(), ..Entry::new("L", b'L', 0o644) };
    vec![
        case(
            tar().with(records("12 size=512\n")).with(Entry::file("a", "x")),
            &["extension", "differ"],
        ),
        case(
            tar().with(records("8 uid=1\n")).with(long_name("b\0")).with(Entry::file("a", "x")),
            &["extension of an extension"],
        ),
        case(
            tar().with(long_name("a\0")).with(long_name("b\0")).with(Entry::file("a", "")),
            &["two long names"],
        ),
        case(tar().with(records("99 path=a\n")).with(Entry::file("a", "")), &["beyond the end"]),
        case(tar().with(records("8 uid=1\n")), &["extends nothing"]),
        case(
            tar().with(Entry { data: b"hidden".to_vec(), ..Entry::dir("d") }),
            &["`d`", "content"],
        ),
        case(tar().with(Entry::char_device("white", 0, 0)), &["`white`", "0:0"]),
        case(
            tar().with(Entry::dir("o").xattr("trusted.overlay.opaque", "y")),
            &["attribute of overlayfs"],
        ),
    ]
}

/// Sizes that lie, and archives that are small only until they are unpacked.
fn sizes() -> Vec<Case> {
    let size = |size| Entry { size: Some(size), ..Entry::file("big", "x") };
    let truncated = |tar: Tar, names| Case { tar: tar.unfinished(), names };
    let sparse = Entry::file("hole", "1\n0\n0\n".to_owned() + &"\0".repeat(506))
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "hole")
        .pax("GNU.sparse.realsize", "4611686018427387904");
    let deep = Entry::file("x", "").pax("path", "d/".repeat(1500) + "x");
    let long = Entry::file("x", "").pax("path", "n".repeat(300));
    vec![
        truncated(tar().with(size(0o77_777_777_777)), &["ends", "inside an entry"]),
        truncated(tar().with(size(600)), &["ends", "inside an entry"]),
        case(tar().with(sparse), &["more than 1099511627776 bytes"]),
        case(tar().with(deep), &["too deep"]),
        case(tar().with(long), &["too long"]),
        Case { tar: [&tar().unfinished()[..], &[7; 512]].concat(), names: &["checksum"] },
    ]
}

fn all() -> Vec<Case> {
    [escapes(), smuggling(), sizes()].into_iter().flatten().collect()
}

#[test]
fn imports_are_refused_by_name_and_reason() {
    let host = Host::new();
    for Case { tar, names } in all() {
        let file = host.file("hostile.tar", &tar);
        host.refuses(&["import", &file, "hostile"], names);
        host.is_untouched();
    }
}

#[test]
fn pulls_are_refused_by_name_and_reason() {
    let host = Host::new();
    let good = || Tar::new().with(Entry::file("good", "x")).finish();
    for (number, Case { tar, names }) in all().into_iter().enumerate() {
        let compression = [Compression::Plain, Compression::Gzip, Compression::Zstd][number % 3];
        // What came before is not kept either.
        let image = Image::new().layer(good()).layer_as(tar, compression);
        let layout = host.path(&format!("layout-{number}"));
        image.write(&layout, "hostile").unwrap();
        let source = format!("oci:{}:hostile", layout.display());
        host.refuses(&["pull", "-q", &source], names);
        std::fs::remove_dir_all(layout).unwrap();
        host.is_untouched();
    }
}

#[test]
fn a_bomb_is_refused_by_its_ratio_and_not_by_a_full_disk() {
    let host = Host::new();
    // 6 GiB of zeros in blocks of four bytes each, which is far better than 1:2000.
    let header = Entry { size: Some(6 << 30), ..Entry::file("zeros", "") };
    let bomb = zstd(&Tar::new().with(header).unfinished(), 6 << 30);
    assert!(bomb.len() < 200_000);
    let file = host.file("bomb.tar.zst", &bomb);
    host.refuses(&["import", &file, "bomb"], &["2000 times its size"]);
    host.is_untouched();
}

/// A Zstandard frame of one raw block with `start`, then RLE blocks of 128 KiB of zeros (RFC 8878,
/// section 3.1.1.2).
fn zstd(start: &[u8], zeros: u64) -> Vec<u8> {
    let header = |last: bool, kind: u32, size: u32| {
        let [a, b, c, _] = (u32::from(last) | kind << 1 | size << 3).to_le_bytes();
        [a, b, c]
    };
    // Magic; no single segment, no checksum, no content size; a window of 128 KiB (exponent 7).
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3];
    frame.extend(header(false, 0, u32::try_from(start.len()).unwrap()));
    frame.extend_from_slice(start);
    let blocks = zeros >> 17;
    for block in 1..=blocks {
        frame.extend(header(block == blocks, 1, 1 << 17));
        frame.push(0);
    }
    frame
}

#[test]
fn devices_and_fifos_of_an_archive_never_reach_the_host() {
    let host = Host::new();
    let mut flood = Tar::new();
    for number in 0..2000 {
        flood = flood.with(Entry::char_device(format!("dev{number}"), 1, 3));
        flood = flood.with(Entry::new(format!("fifo{number}"), b'6', 0o644));
    }
    let file = host.file("flood.tar", &flood.finish());
    host.runs(&["import", &file, "flood"]);
    assert_eq!(host.runs(&["tree", "ls", "flood"]).lines().count(), 4000);
    host.runs(&["rmi", "flood"]);
    host.is_untouched();
}
