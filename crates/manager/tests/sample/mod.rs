//! A store with images made of directories, for tests that need no registry.
#![allow(clippy::unwrap_used, dead_code)] // in the helpers of tests, of which each test uses some

use std::path::Path;
use std::process::Command;

use creel_base::media_type::{Compression, Layer, MediaType};
use creel_base::platform::Platform;
use creel_image::document::{Descriptor, History};
use creel_image::edit::Draft;
use creel_manager::upkeep::Check;
use creel_manager::{Config, Engine, EngineError, Owners, Settings, Store};
use creel_store::Backend;

/// An engine on a packed store, which needs no mounts, and the directory it is in.
pub(crate) struct Sample {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) engine: Engine,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        Store::create(&store, &Backend::Packed, Vec::new()).unwrap();
        let engine = Engine::open(settings(directory.path())).unwrap();
        Self { directory, engine }
    }

    /// Opens the store anew, as the next process would.
    pub(crate) fn again(&self) -> Engine {
        Self::opened(self.directory.path()).unwrap()
    }

    /// Opens the store in a directory, or says why not.
    pub(crate) fn opened(directory: &Path) -> Result<Engine, EngineError> {
        Engine::open(settings(directory))
    }

    /// Repairs the store, whether it opens or not.
    pub(crate) fn repair(&self) -> Check {
        Engine::repair(settings(self.directory.path())).unwrap()
    }

    /// Makes an image of one layer a directory; `files` are paths and contents, and a path that
    /// ends in a slash is a directory.
    pub(crate) fn image(&self, name: &str, layers: &[&[(&str, &[u8])]]) {
        let mut draft = Draft::new(&Platform::host());
        draft.config.author = Some(name.to_owned());
        let transaction = self.engine.store().begin().unwrap();
        for files in layers {
            let tar = archive(files);
            let mut layer = transaction.layer(Default::default(), Owners::Caller).unwrap();
            layer.feed(&tar).unwrap();
            let diff_id = layer.finish(None, &[]).unwrap().diff_id;
            let kind = MediaType::Layer(Layer::oci(Compression::None));
            let descriptor = Descriptor::new(kind, diff_id, tar.len() as u64);
            draft.push(descriptor, diff_id, History::default());
        }
        let (config, manifest) = draft.finish().unwrap();
        transaction.put_blob(&config.digest(), config.raw()).unwrap();
        let digest = manifest.descriptor().digest;
        transaction.put_blob(&digest, manifest.raw()).unwrap();
        transaction.commit(&[(name.as_bytes(), digest)]).unwrap();
    }
}

/// A tar of the files, by the system's own tar.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        if path.to_str().unwrap().ends_with('/') {
            std::fs::create_dir_all(&path).unwrap();
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.strip_prefix(b"-> ") {
            Some(target) => {
                std::os::unix::fs::symlink(std::str::from_utf8(target).unwrap(), path).unwrap();
            }
            None => std::fs::write(path, content).unwrap(),
        }
    }
    let tar = Command::new("tar")
        .args(["--sort=name", "--mtime=@1700000000", "--owner=3", "--group=4", "-cC"])
        .arg(directory.path())
        .arg(".")
        .output()
        .unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    tar.stdout
}

fn settings(directory: &Path) -> Settings {
    Settings {
        privileges: creel_manager::Privileges::Whole,
        store: directory.join("store"),
        run: directory.join("run"),
        owners: Owners::Caller,
        caller: [0, 0],
        auth_files: Vec::new(),
        registries: Vec::new(),
        registries_drop_ins: Vec::new(),
        client: Config::default(),
        platform: Platform::host(),
    }
}
