//! Where the measuring is done: a directory, a registry, a user, and the tools in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use creel_testkit::docker_registry::DockerRegistry;

use super::who::Who;
use crate::run::{capture, target_directory};
use crate::user::User;

/// One workload's own directory and what runs in it.
pub(super) struct Host {
    directory: PathBuf,
    registry: DockerRegistry,
    user: User,
}

impl Host {
    pub(super) fn prepare(directory: &Path) -> anyhow::Result<Self> {
        let registry = DockerRegistry::start(&directory.join("registry"))?;
        let user = User::create("bench", &directory.join("home"))?;
        fs::create_dir(directory.join("root"))?;
        Ok(Self { directory: directory.to_owned(), registry, user })
    }

    /// Root, with all that it keeps in a directory of this workload.
    pub(super) fn root(&self) -> Who<'_> {
        Who::root(self.directory.join("root"))
    }

    /// An ordinary user.
    pub(super) fn user(&self) -> anyhow::Result<Who<'_>> {
        Who::user(&self.user)
    }

    /// Pushes one of the images that `./x image` makes to the registry and returns its reference.
    pub(super) fn push(&self, name: &str) -> anyhow::Result<String> {
        let reference = format!("{}/bench/{name}:latest", self.registry.address());
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--dest-tls-verify=false"])
            .arg(layout(name))
            .arg(format!("docker://{reference}"));
        capture(&mut copy)?;
        Ok(reference)
    }
}

/// Returns where one of the images is, as skopeo, podman and creel name it.
pub(super) fn layout(name: &str) -> String {
    format!("oci:{}:{name}", target_directory().join("images").join(name).display())
}

/// Returns creel.
pub(super) fn creel() -> PathBuf {
    target_directory().join("bench/bin/creel")
}

/// Fails with clear words when creel does not have a command yet.
pub(super) fn require(commands: &[&str]) -> anyhow::Result<()> {
    for command in commands {
        let known = Command::new(creel()).args([*command, "--help"]).output()?.status.success();
        anyhow::ensure!(known, "creel has no command `{command}` yet");
    }
    Ok(())
}

/// Says when, on what and with which versions this is measured.
pub(super) fn describe() -> anyhow::Result<String> {
    let first_line = |program: &str, arguments: &[&str]| -> anyhow::Result<String> {
        let text = capture(Command::new(program).args(arguments))?;
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    };
    let date = first_line("date", &["-u", "+%F"])?;
    let kernel = first_line("uname", &["-r"])?;
    let processors = first_line("nproc", &[])?;
    let creel = first_line(&creel().to_string_lossy(), &["--version"])?;
    let podman = first_line("podman", &["--version"])?;
    let crun = first_line("crun", &["--version"])?;
    let bwrap = first_line("bwrap", &["--version"])?;
    Ok(format!(
        "on {date}, Linux {kernel}, {processors} processors; {creel}, {podman}, {crun}, {bwrap}"
    ))
}
