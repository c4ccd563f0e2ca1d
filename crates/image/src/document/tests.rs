use creel_base::digest::{Algorithm, Digest, Hasher};
use creel_base::media_type::{Family, MediaType};

use super::*;

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn descriptor(fields: &str) -> String {
    format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}",{fields}}}"#)
}

fn manifest(fields: &str) -> String {
    let config = descriptor(r#""size":3"#);
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]{fields}}}"#)
}

fn read_text(text: &str) -> Result<Document, DocumentError> {
    read(text.as_bytes().to_vec(), &Expected::default())
}

#[test]
fn keeps_bytes_digest_and_unknown_fields() {
    let text = manifest(r#","annotations":null,"com.example":{"a":[1,2]}"#);
    let Document::Manifest(parsed) = read_text(&text).unwrap() else { panic!("no manifest") };
    assert_eq!(parsed.raw(), text.as_bytes());
    assert_eq!(parsed.digest(), Digest::sha256(text.as_bytes()));
    assert_eq!(parsed.media_type(), &MediaType::Manifest(Family::Oci));
    assert!(
        serde_json::to_string(parsed.value()).unwrap().contains(r#""com.example":{"a":[1,2]}"#)
    );
}

#[test]
fn refuses_hostile_documents() {
    let docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let with_config = |config: &str| {
        format!(r#"{{"schemaVersion":2,"layers":[],"config":{}}}"#, descriptor(config))
    };
    let cases = [
        ("empty", String::new()),
        ("no object", "[]".into()),
        ("trailing", manifest("") + "x"),
        ("both kinds", manifest(r#","manifests":[]"#)),
        ("index with layers", r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.into()),
        ("null kind", manifest(r#","manifests":null"#)),
        ("other case", manifest(r#","Layers":[]"#)),
        ("folded", manifest(",\"layer\u{17f}\":[]")),
        ("twice", manifest(r#","layers":[]"#)),
        ("lies", manifest(&format!(r#","mediaType":"{docker_list}","manifests":[]"#))),
        ("other type", manifest(r#","mediaType":"application/json""#)),
        ("schema 3", r#"{"schemaVersion":3,"manifests":[]}"#.into()),
        ("no version", r#"{"manifests":[]}"#.into()),
        ("neither", r#"{"schemaVersion":2}"#.into()),
        ("negative size", with_config(r#""size":-1"#)),
        ("huge size", with_config(r#""size":9223372036854775808"#)),
        ("float size", with_config(r#""size":1.5"#)),
        ("no size", with_config(r#""urls":[]"#)),
        ("other data", with_config(r#""size":3,"data":"YWJk""#)),
        ("short data", with_config(r#""size":4,"data":"YWJj""#)),
        ("no base64", with_config(r#""size":3,"data":"***""#)),
        ("path digest", manifest("").replace(DIGEST, "sha256:../../etc/passwd")),
        ("deep", manifest(&format!(r#","x":{}"#, "[".repeat(100_000)))),
    ];
    for (name, text) in cases {
        assert!(read_text(&text).is_err(), "{name}");
    }
}

#[test]
fn accepts_embedded_data_that_fits() {
    let text = manifest("").replace(r#""size":3"#, r#""size":3,"data":"YWJj""#);
    assert!(matches!(read_text(&text), Ok(Document::Manifest(_))));
}

#[test]
fn names_schema_1() {
    for text in [
        r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#,
        r#"{"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"}"#,
    ] {
        assert!(matches!(read_text(text), Err(DocumentError::Schema1)), "{text}");
    }
}

#[test]
fn holds_documents_to_what_was_announced() {
    let text = manifest("");
    let read = |media_type: Option<MediaType>, digest, size| {
        read(text.clone().into_bytes(), &Expected { media_type, digest, size })
    };
    assert!(read(Some(MediaType::new("application/json")), None, None).is_ok());
    assert!(read(Some(MediaType::Manifest(Family::Docker)), None, None).is_ok());
    assert!(read(Some(MediaType::Index(Family::Oci)), None, None).is_err());
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(text.as_bytes());
    assert!(read(None, Some(hasher.finish()), Some(text.len() as u64)).is_ok());
    let wrong = read(None, Some(Digest::sha256(b"")), None);
    assert!(matches!(wrong, Err(DocumentError::Digest { .. })));
    assert!(matches!(read(None, None, Some(1)), Err(DocumentError::Size { expected: 1, .. })));
}

#[test]
fn limits_sizes() {
    let padded = |limit: u64| vec![b' '; usize::try_from(limit).unwrap() + 1];
    let none = Expected::default();
    assert!(matches!(read(padded(MAX_MANIFEST), &none), Err(DocumentError::TooLarge { .. })));
    assert!(matches!(read_config(padded(MAX_CONFIG), &none), Err(DocumentError::TooLarge { .. })));
}

fn config(text: &str) -> Result<Parsed<ImageConfig>, DocumentError> {
    read_config(text.as_bytes().to_vec(), &Expected::default())
}

#[test]
fn reads_configurations_as_go_writes_them() {
    let text = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":null,"Labels":null,
        "Entrypoint":"sh","Cmd":["-c","x"],"OnBuild":null,"Volumes":{{"/data":{{}}}}}},
        "rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}},"history":[{{"empty_layer":true}}]}}"#
    );
    let parsed = config(&text).unwrap();
    let value = parsed.value();
    assert_eq!(value.config.entrypoint, Some(vec!["sh".into()]));
    assert_eq!(value.platform().unwrap().to_string(), "linux/amd64");
    assert!(value.history[0].empty_layer);
    let Ok(Document::Manifest(manifest)) = read_text(&manifest("")) else { panic!() };
    let count = manifest.value().check_config(value);
    assert!(matches!(count, Err(DocumentError::LayerCount { layers: 0, diff_ids: 1 })));
}

#[test]
fn refuses_hostile_configurations() {
    for text in [
        "{}",
        r#"{"rootfs":{"type":"tar","diff_ids":[]}}"#,
        r#"{"rootfs":{"type":"layers","diff_ids":["sha256:../x"]}}"#,
        r#"{"rootfs":{"type":"layers"},"config":{"Env":[1]}}"#,
        r#"{"rootfs":{"type":"layers"},"rootfs":{"type":"layers"}}"#,
    ] {
        assert!(config(text).is_err(), "{text}");
    }
}

#[test]
fn replays_the_seeds() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/manifest");
    let mut count = 0;
    for seed in std::fs::read_dir(seeds).unwrap() {
        fuzz(&std::fs::read(seed.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}
