//! A host for the program: a directory with a packed store in it, which needs no privileges.
#![allow(clippy::unwrap_used, dead_code)] // in the helpers of tests, of which each test uses some

pub(crate) mod source;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use creel_store::{Backend, Store};

/// Directories of one test.
pub(crate) struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(Backend::Packed)
    }

    pub(crate) fn with(backend: Backend) -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap() };
        Store::create(&host.store(), &backend, Vec::new()).unwrap();
        std::fs::create_dir(host.path("")).unwrap();
        host
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// A path for what a test reads.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("in").join(name)
    }

    /// Writes a file for a test to read.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        creel(&self.store(), &self.directory.path().join("run"), arguments)
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program, which must succeed, and returns its output.
    pub(crate) fn runs(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {words}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs the program, which must refuse with these words among others.
    pub(crate) fn refuses(&self, arguments: &[&str], words: &[&str]) {
        let output = self.output(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {said}");
        assert!(said.starts_with("error: ") && said.contains("\nhint: "), "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    }

    /// Nothing is left but what a prune removes, in the store or beside it.
    pub(crate) fn is_untouched(&self) {
        assert_eq!(self.runs(&["fsck"]), "the store is whole\n");
        assert_eq!(self.runs(&["images", "--format", "json"]).trim(), "[]");
        self.runs(&["prune"]);
        for name in ["objects", "trees", "blobs/sha256", "recipes", "refs", "checkouts", "partial"]
        {
            assert_eq!(names(&self.store().join(name)), Vec::<String>::new(), "{name}");
        }
        let mut beside = names(self.directory.path());
        beside.retain(|name| name != "run");
        assert_eq!(beside, ["in", "store"]);
        assert!(!Path::new("/tmp/canary").exists());
    }
}

/// The program, on a store and without the user's own configuration.
pub(crate) fn creel(store: &Path, run: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creel"));
    command.args(arguments).env_clear().env("HOME", "/nonexistent");
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command.env("CREEL_STORE", store).env("CREEL_RUN_DIR", run);
    command
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
