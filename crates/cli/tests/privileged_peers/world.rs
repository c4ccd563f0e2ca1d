//! A directory that creel and the peers share, with a store and a registry in it.

use std::path::PathBuf;
use std::process::{Command, Output};

use creel_testkit::docker_registry::DockerRegistry;
use creel_testkit::image;
use creel_testkit::peers::{Peers, Session};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) directory: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        // On disk: /tmp can be a tmpfs, on which the peers cannot stack layers.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let images = image::real("").unwrap();
        let session = Peers::from_env().unwrap().enter(&[directory.path(), &images]).unwrap();
        Self { session, directory }
    }

    pub(crate) fn registry(&self) -> DockerRegistry {
        DockerRegistry::start(&self.path("registry")).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path in the directory, as text with something in front of it.
    pub(crate) fn at(&self, prefix: &str, name: &str) -> String {
        format!("{prefix}{}", self.path(name).display())
    }

    /// Runs a script among the peers, in the shared directory, and returns its output.
    pub(crate) fn peers(&self, script: &str) -> String {
        let script = format!("set -e; cd '{}'; {script}", self.directory.path().display());
        self.session.run(&["sh", "-c", &script]).unwrap()
    }

    pub(crate) fn creel_output(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_creel"))
            .args(arguments)
            .env("CREEL_STORE", self.path("store"))
            .env("CREEL_RUN_DIR", self.path("run"))
            .output()
            .unwrap()
    }

    /// Runs creel, which must succeed, and returns its output.
    pub(crate) fn creel(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.creel_output(arguments);
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "creel {arguments:?}: {status}: {stderr}");
        String::from_utf8(stdout).unwrap()
    }

    /// Pulls an image and returns its id.
    pub(crate) fn pull(&self, image: &str) -> String {
        self.creel(&["pull", "--quiet", "--tls-verify=false", image]).trim().to_owned()
    }
}
