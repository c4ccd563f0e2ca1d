//! Images in archives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use creel_base::digest::Digest;
use creel_base::transport::Select;
use creel_codec::compress::{Compression, Encoder};
use creel_image::archive::{Archive, ArchiveError, DockerArchive};
use creel_image::document::Document;
use creel_image::layout::Layout;
use creel_image::source::ImageSource as _;
use creel_testkit::tar::{Entry, Tar};

fn spool() -> io::Result<File> {
    tempfile::tempfile()
}

fn archive(tar: &[u8]) -> Result<Archive, ArchiveError> {
    Archive::from_stream(tar, Path::new("x.tar"), spool)
}

fn packed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
    io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_are_found_by_name_and_link() {
    let long = vec![7_u8; 3_000_000];
    let tar = Tar::new()
        .with(Entry::dir("a"))
        .with(Entry::file("./a/long", &long))
        .with(Entry::file("b/short", b"abc"))
        .with(Entry::symlink("a/link", "../b/./short"))
        .with(Entry::symlink("a/again", "link"))
        .with(Entry::hardlink("a/hard", "b/short"))
        .with(Entry::symlink("out", "/b/short"))
        .with(Entry::symlink("loop", "loop"))
        .finish();
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        let archive = archive(&packed(&tar, compression)).unwrap();
        assert_eq!(archive.read("a/long", 1 << 30).unwrap(), long);
        for name in ["b/short", "/b/short", "./b//short", "a/link", "a/again", "a/hard"] {
            assert_eq!(archive.read(name, 3).unwrap(), b"abc", "{name}");
        }
        for name in ["a", "c", "", "out", "loop", "a/long/x"] {
            assert!(matches!(archive.file(name), Err(ArchiveError::NoFile { .. })), "{name}");
        }
        assert!(matches!(archive.read("b/short", 2), Err(ArchiveError::TooLarge { .. })));
    }
}

#[test]
fn a_compressed_file_is_written_out_and_a_plain_one_is_not() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("a.tar");
    let tar = Tar::new().with(Entry::file("f", b"1")).finish();
    std::fs::write(&path, &tar).unwrap();
    let no_spool = || Err(io::Error::other("not needed"));
    assert_eq!(Archive::open(&path, no_spool).unwrap().read("f", 9).unwrap(), b"1");
    std::fs::write(&path, packed(&tar, Compression::Gzip)).unwrap();
    assert!(matches!(Archive::open(&path, no_spool), Err(ArchiveError::Spool { .. })));
    assert_eq!(Archive::open(&path, spool).unwrap().read("f", 9).unwrap(), b"1");
    std::fs::write(&path, [7; 600]).unwrap();
    assert!(matches!(Archive::open(&path, spool), Err(ArchiveError::Tar { .. })));
}

/// An archive of images of one layer each, the second one's compressed.
fn docker() -> (Vec<u8>, Vec<u8>) {
    let layer = Tar::new().with(Entry::file("hello", b"world")).finish();
    let id = Digest::sha256(&layer).to_string();
    let config = |author: &str| {
        format!(
            r#"{{"author":"{author}","os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
        )
    };
    let list = r#"[{"Config":"1.json","RepoTags":["q.io/a:1","a:2","NOT A NAME"],"Layers":["1/layer.tar"]},
        {"Config":"2.json","RepoTags":null,"Layers":["2.tar.gz"]},
        {"Config":"1.json","RepoTags":["bad:1"],"Layers":[]}]"#;
    let tar = Tar::new()
        .with(Entry::file("1.json", config("one")))
        .with(Entry::file("2.json", config("two")))
        .with(Entry::file("2/layer.tar", &layer))
        .with(Entry::symlink("1/layer.tar", "../2/layer.tar"))
        .with(Entry::file("2.tar.gz", packed(&layer, Compression::Gzip)))
        .with(Entry::file("manifest.json", list))
        .finish();
    (tar, layer)
}

#[test]
fn docker_archives_are_images() {
    let (tar, layer) = docker();
    let docker = DockerArchive::new(archive(&tar).unwrap()).unwrap();
    assert_eq!(docker.len(), 3);
    let image = docker.image(&Select::Named("docker.io/library/a:2".into())).unwrap();
    assert_eq!((image.names().len(), image.no_names()), (2, &["NOT A NAME".to_owned()][..]));
    let Ok(Document::Manifest(manifest)) = image.root() else { panic!() };
    let layers = &manifest.value().layers;
    assert_eq!(layers[0].digest, Digest::sha256(&layer));
    for blob in [&layers[0], &manifest.value().config] {
        io::copy(&mut image.blob(blob).unwrap(), &mut io::sink()).unwrap();
    }
    let second = docker.image(&Select::Index(1)).unwrap();
    assert!(second.names().is_empty());
    let Ok(Document::Manifest(manifest)) = second.root() else { panic!() };
    let mut content = Vec::new();
    second.blob(&manifest.value().layers[0]).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, packed(&layer, Compression::Gzip));
    let error = docker.image(&Select::Only).unwrap_err();
    assert!(matches!(error, ArchiveError::Several { count: 3, .. }), "{error}");
    let error = docker.image(&Select::Named("a:3".into())).unwrap_err();
    assert!(matches!(error, ArchiveError::NoImage { .. }), "{error}");
    let error = docker.image(&Select::Index(2)).unwrap_err();
    assert!(matches!(error, ArchiveError::Document { .. }), "{error}");
    assert!(Layout::in_archive(archive(&tar).unwrap()).is_err());
}

#[test]
fn layouts_in_archives_are_layouts() {
    let temporary = tempfile::tempdir().unwrap();
    let layer = Tar::new().with(Entry::file("hello", b"world")).finish();
    creel_testkit::image::Image::new().layer(layer).write(temporary.path(), "1.0").unwrap();
    let mut tar = Tar::new();
    for name in walk(temporary.path(), Path::new("")) {
        tar = tar.with(Entry::file(&name, std::fs::read(temporary.path().join(&name)).unwrap()));
    }
    let layout = Layout::in_archive(archive(&tar.finish()).unwrap()).unwrap();
    let image = layout.image(&Select::Named("1.0".into())).unwrap();
    let Ok(Document::Manifest(manifest)) = image.root() else { panic!() };
    io::copy(&mut image.blob(&manifest.value().layers[0]).unwrap(), &mut io::sink()).unwrap();
    assert!(layout.image(&Select::Named("2".into())).is_err());
}

fn walk(root: &Path, below: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        match root.join(&path).is_dir() {
            true => names.extend(walk(root, &path)),
            false => names.push(path.to_str().unwrap().to_owned()),
        }
    }
    names
}
