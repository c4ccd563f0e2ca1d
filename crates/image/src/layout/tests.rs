use std::fs;

use super::*;
use crate::source::ImageSink;

fn image(mark: &str) -> (Descriptor, Document) {
    let layer = Descriptor::of(MediaType::Other("a/b".into()), b"abc");
    let config = Descriptor::of(MediaType::Empty, b"{}");
    let json = serde_json::json!({
        "schemaVersion": 2, "config": config, "layers": [layer], "mark": mark,
    });
    let raw = serde_json::to_vec(&json).unwrap();
    (layer, document::read(raw, &Expected::default()).unwrap())
}

fn write(path: &Path, name: Option<&str>, mark: &str) -> Document {
    let (layer, document) = image(mark);
    let sink = LayoutSink::open_or_create(path, name.map(str::to_owned)).unwrap();
    sink.put_blob(&layer, &mut &b"abc"[..]).unwrap();
    assert!(sink.has_blob(&layer).unwrap());
    sink.finish(&document).unwrap();
    document
}

#[test]
fn reads_back_what_was_written() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("new");
    let one = write(&path, Some("one"), "1");
    let layout = Layout::open(&path).unwrap();
    let found = layout.image(&Select::Only).unwrap();
    assert_eq!(found.root().unwrap(), one);
    let mut content = Vec::new();
    found.blob(&image("1").0).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, b"abc");

    write(&path, Some("one"), "2");
    let two = write(&path, None, "3");
    write(&path, None, "3");
    assert_eq!(layout.index().unwrap().manifests.len(), 2);
    assert_eq!(layout.image(&Select::Index(1)).unwrap().root().unwrap(), two);
    let named = |name: &str| layout.image(&Select::Named(name.into()));
    assert!(named("one").is_ok());
    assert!(matches!(named("two"), Err(LayoutError::NoImage { .. })));
    assert!(matches!(layout.image(&Select::Only), Err(LayoutError::Several { .. })));
    assert!(layout.image(&Select::Index(2)).is_err());
}

#[test]
fn keeps_no_blob_that_is_another() {
    let temporary = tempfile::tempdir().unwrap();
    let sink = LayoutSink::open_or_create(temporary.path(), None).unwrap();
    let (layer, _) = image("");
    for content in [&b"abd"[..], b"ab", b"abcd"] {
        let error = sink.put_blob(&layer, &mut &*content).unwrap_err();
        assert!(matches!(error, LayoutError::Copy { .. }));
    }
    assert!(!sink.has_blob(&layer).unwrap());
    assert_eq!(fs::read_dir(temporary.path().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn refuses_damaged_layouts() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path();
    assert!(matches!(Layout::open(path), Err(LayoutError::NoLayout { .. })));
    let document = write(path, None, "");
    let layout = Layout::open(path).unwrap();
    let manifest = path.join(blob_path(&document.descriptor().digest));
    let layer = path.join(blob_path(&image("").0.digest));

    fs::write(&layer, b"abd").unwrap();
    let found = layout.image(&Select::Only).unwrap();
    assert!(found.blob(&image("").0).unwrap().read_to_end(&mut Vec::new()).is_err());
    fs::remove_file(&layer).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &layer).unwrap();
    assert!(matches!(found.blob(&image("").0), Err(LayoutError::Path(_))));

    fs::write(&manifest, document.raw().to_ascii_uppercase()).unwrap();
    assert!(matches!(found.root(), Err(LayoutError::Document { .. })));
    fs::remove_file(&manifest).unwrap();
    assert!(matches!(found.root(), Err(LayoutError::NoBlob { .. })));

    fs::write(path.join("index.json"), document.raw()).unwrap();
    assert!(layout.index().is_err());
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(Layout::open(path), Err(LayoutError::Version { .. })));
}
