use creel_base::hint::Hint as _;
use creel_base::media_type::{Compression, Layer, MediaType};
use creel_base::platform::Platform;
use creel_image::document::Descriptor;
use creel_image::edit::Draft;
use creel_store::{Backend, Owners, References as _, Store, Wait};

use super::*;
use crate::Settings;

/// An engine on a packed store in a temporary directory, which needs no mounts.
fn engine() -> (tempfile::TempDir, Engine) {
    let temporary = tempfile::tempdir().unwrap();
    let store = temporary.path().join("store");
    Store::create(&store, &Backend::Packed, Vec::new()).unwrap();
    let settings = Settings {
        store,
        run: temporary.path().join("run"),
        privileges: crate::Privileges::Whole,
        owners: Owners::Caller,
        caller: [0, 0],
        auth_files: Vec::new(),
        registries: vec![temporary.path().join("registries.conf")],
        registries_drop_ins: Vec::new(),
        client: crate::Config::default(),
        platform: Platform::host(),
    };
    let engine = Engine::open(settings).unwrap();
    (temporary, engine)
}

/// Puts an image with one empty layer into the store; `mark` makes it another one.
fn put(engine: &Engine, mark: &str, names: &[&str]) -> Image {
    let transaction = engine.store().begin().unwrap();
    let mut layer = transaction.layer(Default::default(), Owners::Caller).unwrap();
    layer.feed(&[0; 1024]).unwrap();
    let layer = layer.finish(None, &[]).unwrap();
    let mut draft = Draft::new(&Platform::host());
    draft.config.author = Some(mark.to_owned());
    let kind = MediaType::Layer(Layer::oci(Compression::None));
    draft.push(Descriptor::new(kind, layer.diff_id, 1024), layer.diff_id, History::default());
    let (config, manifest) = draft.finish().unwrap();
    transaction.put_blob(&config.digest(), config.raw()).unwrap();
    let digest = manifest.descriptor().digest;
    transaction.put_blob(&digest, manifest.raw()).unwrap();
    let names: Vec<_> = names.iter().map(|name| (name.as_bytes(), digest)).collect();
    transaction.commit(&names).unwrap();
    engine.load(digest, Vec::new()).unwrap()
}

fn found(engine: &Engine, text: &str) -> Option<Digest> {
    match engine.image(text) {
        Ok(image) => Some(image.id),
        Err(ImageError::NotFound { .. }) => None,
        Err(error) => panic!("{text}: {error}"),
    }
}

#[test]
fn finds_by_name_digest_and_id() {
    let (_d, engine) = engine();
    let hub = put(&engine, "a", &["docker.io/library/debian:13", "docker.io/library/only:latest"]);
    let here = put(&engine, "b", &["localhost/debian:13", "q.io:5000/x/y:latest"]);
    let index = Digest::sha256(b"index");
    let by_index = format!("q.io:5000/x/y@{index}");
    let transaction = engine.store().begin().unwrap();
    transaction.commit(&[(by_index.as_bytes(), here.digest)]).unwrap();
    let (id, digest) = (here.id, here.digest);
    for (text, expected) in [
        ("debian:13", Some(here.id)),
        ("docker.io/debian:13", Some(hub.id)),
        ("only", Some(hub.id)),
        ("debian", None),
        ("q.io:5000/x/y", Some(here.id)),
        ("q.io:5000/x/z", None),
        (&by_index, Some(here.id)),
        (&format!("q.io:5000/x/y:other@{digest}"), Some(here.id)),
        (&format!("q.io:5000/x/z@{digest}"), None),
        (&format!("q.io:5000/x/y@{}", hub.digest), None),
        (&id.hex(), Some(here.id)),
        (&id.to_string(), Some(here.id)),
        (&id.hex()[..4], Some(here.id)),
        (&id.to_string()[..15], Some(here.id)),
        (&id.hex()[..3], None),
        (&digest.hex(), None),
    ] {
        assert_eq!(found(&engine, text), expected, "{text}");
    }
    let error = engine.image("q.io/UP").unwrap_err();
    assert!(matches!(error, ImageError::Name { .. }) && error.hint().is_some(), "{error}");
    let error = engine.image("absent:1").unwrap_err();
    assert!(error.hint().unwrap().contains("`creel pull absent:1`"));
}

#[test]
fn short_names_follow_registries_conf() {
    let (temporary, engine) = engine();
    let conf = "unqualified-search-registries = [\"a.io\", \"b.io\"]\n[aliases]\nx = \"c.io/y\"\n";
    std::fs::write(temporary.path().join("registries.conf"), conf).unwrap();
    let b = put(&engine, "b", &["b.io/tool:latest", "docker.io/library/tool:latest"]);
    let c = put(&engine, "c", &["c.io/y:2"]);
    assert_eq!(found(&engine, "tool"), Some(b.id));
    assert_eq!(engine.image("tool").unwrap().names[0].registry(), "b.io");
    assert_eq!(found(&engine, "x:2"), Some(c.id));
}

#[test]
fn names_come_and_go() {
    let (_d, engine) = engine();
    let image = put(&engine, "a", &["q.io/a:1", "q.io/a:2"]);
    engine.tag(&image, &new_name("b").unwrap()).unwrap();
    assert!(matches!(new_name("b@x"), Err(ImageError::Name { .. })));
    let with_digest = format!("b@{}", image.digest);
    assert!(matches!(new_name(&with_digest), Err(ImageError::DigestInName { .. })));
    let nobody = |_: &Digest| Vec::new();
    let somebody = |_: &Digest| vec!["c1".to_owned()];
    let short = &image.id.hex()[..12];
    let error = engine.remove(short, Removal::Careful, &nobody).unwrap_err();
    assert!(matches!(error, ImageError::SeveralNames { .. }), "{error}");
    // Other names are left: nobody loses anything.
    let removed = engine.remove("q.io/a:1", Removal::Careful, &somebody).unwrap();
    assert_eq!((removed.names.len(), removed.image), (1, None));
    engine.remove("q.io/a:2", Removal::Careful, &nobody).unwrap();
    let error = engine.remove("b", Removal::Careful, &somebody).unwrap_err();
    assert_eq!(error.to_string(), "image `b` is in use by `c1`");
    let removed = engine.remove("b", Removal::Forced, &somebody).unwrap();
    assert_eq!(removed.image, Some(image.id));
    assert_eq!(found(&engine, "b"), None);
    // Without a name it is still had by its id, until it is collected.
    assert_eq!(found(&engine, short), Some(image.id));
    engine.store().collect(&Documents::new(&|| Ok(Vec::new())), Wait::No).unwrap();
    assert_eq!(found(&engine, short), None);
}

#[test]
fn a_tag_takes_along_the_digest_that_came_with_it() {
    let (_d, engine) = engine();
    let index = Digest::sha256(b"index");
    let name = |text: &str| text.parse::<Reference>().unwrap();
    let image = put(&engine, "a", &["q.io/b:1"]);
    let pulled = |text| references(&name(text), image.digest, Some(index));
    for (name, digest) in [pulled("q.io/a:1"), pulled("q.io/a:2")].concat() {
        engine.store().begin().unwrap().commit(&[(name.as_bytes(), digest)]).unwrap();
    }
    let nobody = |_: &Digest| Vec::new();
    let removed = |text: &str| engine.remove(text, Removal::Careful, &nobody).unwrap().names.len();
    let by_index = format!("q.io/a@{index}");
    assert_eq!(removed("q.io/a:2"), 2);
    assert_eq!(found(&engine, &by_index), Some(image.id));
    assert_eq!(removed("q.io/a:1"), 2);
    assert_eq!(found(&engine, &by_index), None);
}

#[test]
fn what_was_pulled_by_digest_stays_when_a_tag_goes() {
    let (_d, engine) = engine();
    let index = Digest::sha256(b"index");
    let image = put(&engine, "a", &[]);
    let by_digest = [format!("q.io/a@{index}"), format!("q.io/a@{}", image.digest)];
    for text in [&by_digest[0], &by_digest[1], "q.io/a:1"] {
        for (name, digest) in references(&text.parse().unwrap(), image.digest, Some(index)) {
            engine.store().begin().unwrap().commit(&[(name.as_bytes(), digest)]).unwrap();
        }
    }
    let nobody = |_: &Digest| Vec::new();
    let removed = engine.remove("q.io/a:1", Removal::Careful, &nobody).unwrap();
    assert_eq!(removed.image, None);
    for text in &by_digest {
        assert_eq!(found(&engine, text), Some(image.id), "{text}");
        engine.remove(text, Removal::Careful, &nobody).unwrap();
    }
    assert!(engine.images().unwrap().images.is_empty());
}

#[test]
fn collection_keeps_what_a_name_needs() {
    let (_d, engine) = engine();
    let image = put(&engine, "a", &["q.io/a:1"]);
    put(&engine, "b", &[]);
    let layers = engine.layers(&image).unwrap();
    assert_eq!(engine.all_images().unwrap().images.len(), 2);
    let collected = engine.store().collect(&Documents::new(&|| Ok(Vec::new())), Wait::No).unwrap();
    assert_eq!(collected.blobs, 2);
    assert_eq!(engine.all_images().unwrap().images.len(), 1);
    assert_eq!(engine.layers(&engine.image("q.io/a:1").unwrap()).unwrap(), layers);
    engine.store().remove_reference(b"q.io/a:1").unwrap();
    let keep = || Ok(vec![image.digest]);
    let pinned = Documents::new(&keep);
    assert_eq!(engine.store().collect(&pinned, Wait::No).unwrap().blobs, 0);
    assert_eq!(
        engine.store().collect(&Documents::new(&|| Ok(Vec::new())), Wait::No).unwrap().blobs,
        2
    );
}

#[test]
fn a_damaged_image_is_listed_as_such_and_can_be_removed() {
    let (_d, engine) = engine();
    let image = put(&engine, "a", &["q.io/a:1"]);
    put(&engine, "b", &["q.io/b:1"]);
    let blob = engine.store().path().join("blobs/sha256").join(image.id.hex());
    std::fs::write(blob, "{}").unwrap();
    let images = engine.images().unwrap();
    assert_eq!((images.images.len(), images.damaged.len()), (1, 1));
    engine.remove("q.io/a:1", Removal::Careful, &|_| Vec::new()).unwrap();
    assert!(engine.images().unwrap().damaged.is_empty());
}

#[test]
fn a_document_that_could_be_two_things_keeps_what_both_need() {
    let (layer, config) = (Digest::sha256(b"layer"), Digest::sha256(b"config"));
    let json = serde_json::json!({
        "schemaVersion": 2,
        "config": { "mediaType": "a/b", "digest": config.to_string(), "size": 1 },
        "rootfs": { "type": "layers", "diff_ids": [layer.to_string()] },
    });
    let found =
        Documents::new(&|| Ok(Vec::new())).of_blob(&layer, json.to_string().as_bytes()).unwrap();
    assert!(found.contains(&config) && found.contains(&layer), "{found:?}");
    assert!(Documents::new(&|| Ok(Vec::new())).of_blob(&layer, b"not json").unwrap().is_empty());
}

#[test]
fn steps_have_the_sizes_of_their_layers_where_both_fit() {
    let (_d, engine) = engine();
    let mut image = put(&engine, "a", &[]);
    let empty = History { empty_layer: true, ..History::default() };
    image.config.history.push(empty);
    let sizes = |image: &Image| image.history().iter().map(|s| s.size).collect::<Vec<_>>();
    assert_eq!(sizes(&image), [Some(1024), None]);
    image.config.history.push(History::default());
    assert_eq!(sizes(&image), [None, None, None]);
}

#[test]
fn an_imported_tar_is_an_image() {
    let (_d, engine) = engine();
    let what = crate::import::Import {
        platform: "linux/arm64".parse().unwrap(),
        changes: vec!["CMD [\"/bin/sh\"]".into(), "ENV A=1".into()],
        message: Some("m".into()),
        created: "2020-01-01T00:00:00Z".parse().unwrap(),
    };
    let name = new_name("base").unwrap();
    let image = engine.import(&mut &[0; 1024][..], &what, Some(&name)).unwrap();
    assert_eq!(found(&engine, "base"), Some(image.id));
    assert_eq!(image.config.config.cmd.as_deref(), Some(&["/bin/sh".to_owned()][..]));
    assert_eq!(image.config.platform().unwrap().to_string(), "linux/arm64");
    assert_eq!(image.download_size(), 1024);
    assert_eq!(engine.layers(&image).unwrap().len(), 1);
    // The same again is the same image; what is no archive is none.
    assert_eq!(engine.import(&mut &[0; 1024][..], &what, None).unwrap().id, image.id);
    let error = engine.import(&mut &b"\xfd7zXZ\0\0\x04"[..], &what, None).unwrap_err();
    assert!(error.hint().unwrap().contains("`xz -dc FILE | creel import -`"), "{error}");
    let error = engine.import(&mut &[7; 1024][..], &what, None).unwrap_err();
    assert!(matches!(error, crate::import::ImportError::Unpack(_)), "{error}");
    assert_eq!(engine.all_images().unwrap().images.len(), 1);
}
