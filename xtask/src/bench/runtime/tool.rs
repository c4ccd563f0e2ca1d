//! The runtimes and their command lines.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::ensure;

use super::super::host;
use super::super::who::Who;
use crate::run::{capture, output};

/// An OCI runtime.
pub(super) struct Tool<'a> {
    pub(super) name: &'static str,
    who: &'a Who<'a>,
    program: PathBuf,
    first: &'static [&'static str],
    /// The container of everything that is done one after the other. Its cgroup is called the same,
    /// and runc wants that for itself.
    id: &'static str,
}

impl<'a> Tool<'a> {
    /// Creel first: the others are compared with it.
    pub(super) fn all(who: &'a Who<'a>) -> [Self; 3] {
        [
            Self { name: "creel", id: "bench-creel", who, program: host::creel(), first: &["oci"] },
            Self { name: "crun", id: "bench-crun", who, program: "crun".into(), first: &[] },
            Self { name: "runc", id: "bench-runc", who, program: "runc".into(), first: &[] },
        ]
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.who.command(&self.program);
        command.args(self.first).arg("--root").arg(self.root()).args(words);
        command
    }

    fn root(&self) -> PathBuf {
        self.who.path(&format!("runtime-{}", self.name))
    }

    fn on_bundle(&self, verb: &str, bundle: &Path, id: &str) -> Command {
        let mut command = self.command(&[verb, "--bundle"]);
        command.arg(bundle).arg(id);
        command
    }

    pub(super) fn run(&self, bundle: &Path) -> Command {
        self.run_as(bundle, self.id)
    }

    pub(super) fn run_as(&self, bundle: &Path, id: &str) -> Command {
        self.on_bundle("run", bundle, id)
    }

    pub(super) fn create_start_delete(&self, bundle: &Path) -> Vec<Command> {
        let create = self.on_bundle("create", bundle, self.id);
        vec![
            create,
            self.command(&["start", self.id]),
            self.command(&["delete", "--force", self.id]),
        ]
    }

    pub(super) fn exec(&self, words: &[&str]) -> Command {
        self.command(&[&["exec", self.id], words].concat())
    }

    pub(super) fn state(&self) -> Command {
        self.command(&["state", self.id])
    }

    /// Deletes what a run has left, if it has.
    pub(super) fn forget(&self) {
        // That there is nothing is what is wanted.
        let _ = output(self.command(&["delete", "--force", self.id]).stderr(Stdio::null()));
    }

    /// Starts a container that stays until what is returned is dropped.
    pub(super) fn start(&self, bundle: &Path) -> anyhow::Result<Running<'_, 'a>> {
        let mut run = self.command(&["run", "--detach", "--bundle"]);
        capture(run.arg(bundle).arg(self.id).stdin(Stdio::null()))?;
        let state = capture(&mut self.state())?;
        ensure!(state.contains("running"), "{} says of its container: {state}", self.name);
        Ok(Running(self))
    }
}

/// A container that is deleted when this is dropped.
pub(super) struct Running<'t, 'a>(&'t Tool<'a>);

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        self.0.forget();
    }
}
