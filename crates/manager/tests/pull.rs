//! Pulls and pushes against a registry that misbehaves on request.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::Path;
use std::time::Duration;

use creel_base::digest::Digest;
use creel_base::hint::Hint as _;
use creel_image::document::Descriptor;
use creel_manager::images::Image;
use creel_manager::progress::{Event, Progress, Silent, Transfer};
use creel_manager::pull::{Pull, PullError};
use creel_manager::push::{self, Push};
use creel_manager::{Config, Engine, Owners, Settings, Store};
use creel_testkit::image::Image as Sample;
use creel_testkit::registry::{Auth, FakeRegistry, Fault};
use creel_testkit::tar::{Entry, Tar};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry with one image of two layers as `a:1`, and a store.
struct Setting {
    temporary: tempfile::TempDir,
    registry: FakeRegistry,
    /// Digests of the layers, the lowest first.
    layers: Vec<String>,
    engine: Engine,
}

impl Setting {
    fn new() -> Self {
        let noise: Vec<u8> =
            (0..600_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        let first = Tar::new().with(Entry::file("f", &noise)).finish();
        let second = Tar::new().with(Entry::dir("d")).with(Entry::file("d/g", b"2")).finish();
        Self::with(&Sample::new().layer(first).layer(second))
    }

    fn with(sample: &Sample) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let layout = temporary.path().join("layout");
        let manifest = sample.write(&layout, "x").unwrap().digest;
        let registry = FakeRegistry::start().unwrap();
        let mut layers = Vec::new();
        for entry in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            registry.put(&format!("/v2/a/blobs/sha256:{name}"), "application/octet-stream", &bytes);
            if name == manifest.hex() {
                registry.put("/v2/a/manifests/1", MANIFEST, &bytes);
                registry.put(&format!("/v2/a/manifests/{manifest}"), MANIFEST, &bytes);
                let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                layers = json["layers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|layer| layer["digest"].as_str().unwrap().to_owned())
                    .collect();
            }
        }
        let engine = engine(&temporary.path().join("store"));
        Self { temporary, registry, layers, engine }
    }

    fn name(&self) -> String {
        format!("{}/a:1", self.registry.address())
    }

    fn pull(&self) -> Result<Image, PullError> {
        self.pull_with(&Pull::default(), &Silent)
    }

    fn pull_with(&self, options: &Pull, progress: &dyn Progress) -> Result<Image, PullError> {
        let options = Pull { verify_tls: Some(false), ..options.clone() };
        self.engine.pull(&self.name().parse().unwrap(), &options, progress)
    }

    /// The path of a layer's blob at the registry.
    fn blob(&self, layer: usize) -> String {
        format!("/v2/a/blobs/{}", self.layers[layer])
    }

    /// Fails a pull, and checks that nothing is left under a name.
    fn refused(&self) -> PullError {
        let error = self.pull().unwrap_err();
        assert!(self.engine.images().unwrap().images.is_empty());
        error
    }
}

fn engine(store: &Path) -> Engine {
    if !store.exists() {
        Store::create(store, &creel_store::Backend::Packed, Vec::new()).unwrap();
    }
    let mut client = Config { stall_timeout: Duration::from_millis(500), ..Config::default() };
    client.retry.base = Duration::from_millis(1);
    client.retry.attempts = 2;
    Engine::open(Settings {
        caller: [0, 0],
        store: store.to_owned(),
        run: store.join("run"),
        owners: Owners::Caller,
        privileges: creel_manager::Privileges::Whole,
        auth_files: Vec::new(),
        registries: Vec::new(),
        registries_drop_ins: Vec::new(),
        client,
        platform: "linux/amd64".parse().unwrap(),
    })
    .unwrap()
}

/// All that an error says, from the outside in.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}

#[test]
fn an_image_comes_once() {
    let setting = Setting::new();
    let image = setting.pull().unwrap();
    assert_eq!(setting.engine.layers(&image).unwrap().len(), 2);
    let blobs = |s: &Setting| s.registry.seen().iter().filter(|r| r.path == s.blob(0)).count();
    assert_eq!(blobs(&setting), 1);
    assert_eq!(setting.pull().unwrap().digest, image.digest);
    assert_eq!(blobs(&setting), 1);
    assert!(
        std::fs::read_dir(setting.engine.store().path().join("partial")).unwrap().next().is_none()
    );
}

#[test]
fn an_unknown_image_is_said_to_be_unknown() {
    let setting = Setting::new();
    let source = format!("{}/b:1", setting.registry.address()).parse().unwrap();
    let options = Pull { verify_tls: Some(false), ..Pull::default() };
    let error = setting.engine.pull(&source, &options, &Silent).unwrap_err();
    assert!(words(&error).contains("image `b:1` is unknown"), "{}", words(&error));
    assert!(error.hint().is_some());
}

#[test]
fn a_login_that_is_missing_or_refused_is_told_apart() {
    let setting = Setting::new();
    let challenge = "Basic realm=\"x\"".to_owned();
    setting.registry.demand(Auth::Header("Basic bWU6c2VjcmV0".into(), challenge));
    let error = setting.refused();
    assert!(words(&error).contains("refused access"), "{}", words(&error));
    assert!(error.hint().unwrap().contains("creel login"), "{:?}", error.hint());
    let basic = |password: &str| {
        let (username, password) = ("me".to_owned(), password.to_owned());
        let credentials =
            Some(creel_manager::credentials::Credential::Basic { username, password });
        setting.pull_with(&Pull { credentials, ..Pull::default() }, &Silent)
    };
    assert!(words(&basic("wrong").unwrap_err()).contains("refused access"));
    basic("secret").unwrap();
}

#[test]
fn another_platform_is_refused_by_name() {
    let tar = Tar::new().with(Entry::file("f", b"1")).finish();
    let setting = Setting::with(&Sample::new().architecture("arm64").layer(tar));
    let error = setting.refused();
    assert!(matches!(error, PullError::Platform { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--platform linux/arm64"));
    let platform = Some("linux/arm64".parse().unwrap());
    setting.pull_with(&Pull { platform, ..Pull::default() }, &Silent).unwrap();
}

#[test]
fn an_altered_layer_is_refused_and_not_kept() {
    let setting = Setting::new();
    for layer in 0..2 {
        setting.registry.fault(&setting.blob(layer), Fault::Alter);
    }
    let error = setting.refused();
    assert!(matches!(error, PullError::Layer { .. }), "{error}");
    setting.pull().unwrap();
}

#[test]
fn whoever_alters_a_layer_is_to_blame_and_not_whoever_made_it() {
    let setting = Setting::new();
    let bytes = setting.registry.document(&setting.blob(0)).unwrap();
    // What is no gzip any more, what does not inflate, and what has another checksum.
    for place in [0, bytes.len() / 2, bytes.len() - 6] {
        let mut altered = bytes.clone();
        altered[place] ^= 0x55;
        setting.registry.put(&setting.blob(0), "application/octet-stream", &altered);
        let error = setting.refused();
        assert!(words(&error).contains("instead of"), "{place}: {}", words(&error));
        assert!(error.hint().unwrap().contains("alters it"), "{:?}", error.hint());
    }
    setting.registry.put(&setting.blob(0), "application/octet-stream", &bytes);
    setting.pull().unwrap();
}

#[test]
fn a_layer_within_its_descriptor_is_not_asked_for() {
    let setting = Setting::new();
    let bytes = setting.registry.document(&setting.blob(1)).unwrap();
    let path = "/v2/a/manifests/1";
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&setting.registry.document(path).unwrap()).unwrap();
    let mut layer: Descriptor = serde_json::from_value(manifest["layers"][1].take()).unwrap();
    layer.data = Some(bytes.clone());
    manifest["layers"][1] = serde_json::to_value(layer).unwrap();
    setting.registry.put(path, MANIFEST, manifest.to_string().as_bytes());
    // The same tar in other bytes (the 9th of gzip is a remark), of which nothing may be recorded.
    let mut other = bytes;
    other[8] ^= 0xff;
    setting.registry.put(&setting.blob(1), "application/octet-stream", &other);
    let image = setting.pull().unwrap();
    assert_eq!(setting.engine.layers(&image).unwrap().len(), 2);
    assert!(setting.registry.seen().iter().all(|seen| seen.path != setting.blob(1)));
}

#[test]
fn a_stopped_download_goes_on_where_it_was() {
    let setting = Setting::new();
    // A break, and then a registry that stays down for as long as the client tries.
    setting.registry.fault(&setting.blob(0), Fault::Cut(100_000));
    for _ in 0..3 {
        setting.registry.fault(&setting.blob(0), Fault::Status(500, Vec::new()));
    }
    setting.refused();
    let before = setting.registry.seen().len();
    let setting = Setting { engine: engine(setting.engine.store().path()), ..setting };
    setting.pull().unwrap();
    let ranges: Vec<_> = setting
        .registry
        .seen()
        .iter()
        .skip(before)
        .filter(|r| r.path == setting.blob(0))
        .filter_map(|r| r.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges.first().map(String::as_str), Some("bytes=100000-"), "{ranges:?}");
}

#[test]
fn what_a_stopped_download_left_may_be_damaged() {
    struct Heard(std::sync::Mutex<Vec<Event>>);
    impl Progress for Heard {
        fn event(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }
    let setting = Setting::new();
    let name = setting.layers[0].replacen(':', "-", 1);
    let partial = setting.engine.store().path().join("partial").join(name);
    std::fs::write(partial, [7; 5000]).unwrap();
    let heard = Heard(std::sync::Mutex::default());
    setting.pull_with(&Pull::default(), &heard).unwrap();
    let layer: Digest = setting.layers[0].parse().unwrap();
    assert!(heard.0.lock().unwrap().contains(&Event::Restarted { layer }));
}

#[test]
fn wrong_ranges_are_refused_and_stalls_survived() {
    let setting = Setting::new();
    setting.registry.fault(&setting.blob(0), Fault::Cut(1000));
    setting.registry.fault(&setting.blob(0), Fault::Range("bytes 5-9/10".into()));
    assert!(words(&setting.refused()).contains("wrong range"));
    setting.registry.fault(&setting.blob(0), Fault::Stall(Duration::from_secs(2)));
    setting.pull().unwrap();
}

#[test]
fn a_redirect_gets_no_credentials() {
    let setting = Setting::new();
    let challenge = "Basic realm=\"x\"".to_owned();
    setting.registry.demand(Auth::Header("Basic bWU6c2VjcmV0".into(), challenge));
    let elsewhere = FakeRegistry::start().unwrap();
    let location = format!("http://{}/stolen", elsewhere.address());
    let redirect = Fault::Status(307, vec![("location".into(), location)]);
    setting.registry.fault(&setting.blob(1), redirect);
    let (username, password) = ("me".to_owned(), "secret".to_owned());
    let credentials = Some(creel_manager::credentials::Credential::Basic { username, password });
    setting.pull_with(&Pull { credentials, ..Pull::default() }, &Silent).unwrap_err();
    assert!(!elsewhere.seen().is_empty());
    assert!(elsewhere.seen().iter().all(|r| !r.headers.contains_key("authorization")));
}

#[test]
fn a_layer_that_is_not_its_diff_id_is_refused() {
    let setting = Setting::new();
    let path = "/v2/a/manifests/1";
    let manifest: serde_json::Value =
        serde_json::from_slice(&setting.registry.document(path).unwrap()).unwrap();
    // The layers in the wrong order: each inflates to the other's diff id.
    let mut swapped = manifest.clone();
    swapped["layers"].as_array_mut().unwrap().reverse();
    setting.registry.put(path, MANIFEST, swapped.to_string().as_bytes());
    let error = setting.refused();
    assert!(words(&error).contains("hashes to"), "{}", words(&error));
}

#[test]
fn documents_that_are_two_things_or_no_image_are_refused() {
    let setting = Setting::new();
    let path = "/v2/a/manifests/1";
    let manifest: serde_json::Value =
        serde_json::from_slice(&setting.registry.document(path).unwrap()).unwrap();
    let mut both = manifest.clone();
    both["manifests"] = serde_json::json!([]);
    let mut artefact = manifest.clone();
    artefact["config"]["mediaType"] = "application/vnd.oci.empty.v1+json".into();
    let mut fewer = manifest.clone();
    fewer["layers"].as_array_mut().unwrap().pop();
    for (document, expected) in [
        (both.to_string(), "both"),
        (artefact.to_string(), "no image"),
        (fewer.to_string(), "diff ids"),
        ("{}".into(), "cannot pull"),
    ] {
        setting.registry.put(path, MANIFEST, document.as_bytes());
        let error = setting.refused();
        assert!(words(&error).contains(expected), "{expected}: {}", words(&error));
    }
}

#[test]
fn a_bomb_is_stopped() {
    let zeros = vec![0_u8; 96 << 20];
    let tar = Tar::new().with(Entry::file("f", &zeros)).finish();
    let zstd = creel_codec::compress::Compression::Zstd;
    let setting = Setting::with(&Sample::new().layer_as(tar, zstd));
    assert!(words(&setting.refused()).contains("times its size"));
}

#[test]
fn two_pulls_share_a_download() {
    let setting = Setting::new();
    let other = engine(setting.engine.store().path());
    let options = Pull { verify_tls: Some(false), ..Pull::default() };
    std::thread::scope(|scope| {
        let second = scope
            .spawn(|| other.pull(&setting.name().parse().unwrap(), &options, &Silent).unwrap());
        let first = setting.pull().unwrap();
        assert_eq!(first.digest, second.join().unwrap().digest);
    });
    for layer in 0..2 {
        let asked =
            setting.registry.seen().iter().filter(|r| r.path == setting.blob(layer)).count();
        assert_eq!(asked, 1);
    }
}

#[test]
fn what_is_pushed_comes_back_and_is_not_sent_twice() {
    struct Known(std::sync::atomic::AtomicUsize);
    impl Progress for Known {
        fn event(&self, event: &Event) {
            if matches!(event, Event::Ended { how: Transfer::Known, .. }) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
    let setting = Setting::new();
    let image = setting.pull().unwrap();
    let options = Push { verify_tls: Some(false), ..Push::default() };
    // The very layers are there: so is the very manifest.
    let same = setting.engine.push(&image, None, &options, &Silent).unwrap();
    assert_eq!(same, image.digest);
    let elsewhere = FakeRegistry::start().unwrap();
    let to = format!("{}/b:2", elsewhere.address()).parse().unwrap();
    let zstd = Push { compression: Some(push::Compression::Zstd), ..options };
    let digest = setting.engine.push(&image, Some(&to), &zstd, &Silent).unwrap();
    assert_ne!(digest, image.digest);
    let known = Known(Default::default());
    assert_eq!(setting.engine.push(&image, Some(&to), &zstd, &known).unwrap(), digest);
    assert_eq!(known.0.into_inner(), 2);
    let fresh = engine(&setting.temporary.path().join("fresh"));
    let pull = Pull { verify_tls: Some(false), ..Pull::default() };
    let back = fresh.pull(&to, &pull, &Silent).unwrap();
    assert_eq!((back.id, back.digest), (image.id, digest));
    assert_eq!(fresh.layers(&back).unwrap(), setting.engine.layers(&image).unwrap());
}

#[test]
fn archives_and_layouts_go_round() {
    let setting = Setting::new();
    let image = setting.pull().unwrap();
    let path = |name: &str| setting.temporary.path().join(name).display().to_string();
    for to in [format!("oci:{}:t", path("out")), format!("oci-archive:{}:t", path("out.tar"))] {
        let to = to.parse().unwrap();
        let digest = setting.engine.push(&image, Some(&to), &Push::default(), &Silent).unwrap();
        let fresh = tempfile::tempdir().unwrap();
        let fresh = engine(&fresh.path().join("store"));
        let back = fresh.pull(&to, &Pull::default(), &Silent).unwrap();
        assert_eq!((back.id, back.digest), (image.id, digest));
        assert_eq!(back.names[0].to_string(), "localhost/out:t");
    }
}
