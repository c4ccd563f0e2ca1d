//! Root or a user, each with a store for creel and one for podman.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::host;
use crate::clean;
use crate::run::capture;
use crate::user::User;

/// Somebody who runs containers.
pub(super) struct Who<'a> {
    user: Option<&'a User>,
    directory: PathBuf,
    /// For sockets and mounts; it is a tmpfs, as usual.
    run: PathBuf,
}

impl<'a> Who<'a> {
    pub(super) fn root(directory: PathBuf) -> Self {
        Self { user: None, directory, run: "/run/bench".into() }
    }

    pub(super) fn user(user: &'a User) -> anyhow::Result<Self> {
        let run = PathBuf::from("/run/bench-user");
        fs::create_dir_all(&run)?;
        chown(&run, Some(user.uid()), Some(user.gid()))?;
        Ok(Self { user: Some(user), directory: user.home().to_owned(), run })
    }

    /// A directory of this person's, for whatever a workload keeps.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Returns a command that runs as this person.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match self.user {
            Some(user) => user.command(program),
            None => {
                let mut command = Command::new(program);
                // With an id to set, the process is forked and not spawned with our memory shared,
                // which the kernel would count as the program's own peak.
                command.uid(0);
                command
            }
        };
        command.env("XDG_RUNTIME_DIR", &self.run);
        command
    }

    pub(super) fn creel(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(host::creel());
        command
            .env("CREEL_STORE", self.path("creel"))
            .env("CREEL_RUN_DIR", self.run.join("creel"))
            .args(arguments);
        command
    }

    pub(super) fn podman(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("podman");
        command
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")
            .arg("--root")
            .arg(self.path("podman"))
            .arg("--runroot")
            .arg(self.run.join("podman"))
            .args(arguments);
        command
    }

    /// Empties creel's store.
    pub(super) fn clear_creel(&self) -> anyhow::Result<()> {
        self.unmount_creel()?;
        remove(&self.path("creel"))?;
        remove(&self.run.join("creel"))
    }

    /// Lets go of what creel keeps mounted between runs.
    pub(super) fn unmount_creel(&self) -> anyhow::Result<()> {
        clean::unmount_below(&self.run)?;
        clean::unmount_below(&self.path("creel"))
    }

    /// Empties podman's store.
    pub(super) fn clear_podman(&self) -> anyhow::Result<()> {
        clean::unmount_below(&self.path("podman"))?;
        remove(&self.path("podman"))?;
        remove(&self.run.join("podman"))?;
        remove(&self.run.join("libpod"))
    }

    /// Brings an image into creel's store and returns its id.
    pub(super) fn load_creel(&self, name: &str) -> anyhow::Result<String> {
        let id = capture(&mut self.creel(&["pull", "-q", &host::layout(name)]))?;
        Ok(id.trim().to_owned())
    }

    /// Brings an image into podman's store and returns its id.
    pub(super) fn load_podman(&self, name: &str) -> anyhow::Result<String> {
        let id = capture(&mut self.podman(&["pull", "-q", &host::layout(name)]))?;
        Ok(id.trim().to_owned())
    }

    /// Unpacks an image by umoci and returns the bundle's directory.
    pub(super) fn unpack(&self, name: &str) -> anyhow::Result<PathBuf> {
        let bundle = self.path(&format!("bundle-{name}"));
        let layout = host::layout(name);
        let image = layout.trim_start_matches("oci:");
        let mut umoci = self.command("umoci");
        umoci.args(["unpack", "--image", image]).arg(&bundle);
        if self.user.is_some() {
            umoci.arg("--rootless");
        }
        capture(&mut umoci)?;
        Ok(bundle)
    }
}

/// Removes a directory that need not be there.
pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}
