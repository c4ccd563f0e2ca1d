//! Where tests are run: on the host, or in throw-away guests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use creel_testkit::guest::{self as kit, Guest, Setup};
use tempfile::TempDir;

use crate::guest;
use crate::run::{output, run};

/// Runs one test.
const SESSION: &str = include_str!("session.sh");

/// What gives a session mounts and processes of its own.
const ALONE: &str = "unshare --mount --propagation private --pid --fork --kill-child";

/// Seconds that a test may take on the host, where the longest takes 15.
const HOST_LIMIT: u32 = 60;

/// Seconds that a test may take in a guest, which is five to ten times slower.
const GUEST_LIMIT: u32 = 300;

/// How long a guest may live: it is there for the tests of one file.
const LIFE: Duration = Duration::from_secs(3600);

/// Where the program is in a guest.
const PROGRAM: &str = "/program";

/// A place with the suite and the program.
pub(super) enum Place {
    Host { root: PathBuf, program: PathBuf },
    Guests { images: TempDir, program: Vec<u8>, systemd: bool, now: Option<(String, Guest)> },
}

impl Place {
    /// This host, and the root directory with the suite.
    pub(super) fn host(root: &Path, program: &Path) -> Self {
        Self::Host { root: root.to_owned(), program: program.to_owned() }
    }

    /// Guests whose disk is the root directory with the suite.
    pub(super) fn guests(root: &Path, program: &Path, systemd: bool) -> anyhow::Result<Self> {
        let program = fs::read(program)?;
        Ok(Self::Guests { images: disk(root)?, program, systemd, now: None })
    }

    /// Runs a test and returns what it wrote.
    pub(super) fn run(&mut self, file: &str, name: &str) -> anyhow::Result<String> {
        match self {
            Self::Host { root, program } => {
                let mut command = Command::new("unshare");
                command.args(ALONE.split(' ').skip(1)).args(["sh", "-c", SESSION, "session"]);
                command.arg(root).arg(program).args([file, name, &HOST_LIMIT.to_string(), ""]);
                Ok(output(&mut command)?.0)
            }
            Self::Guests { images, program, systemd, now } => {
                let mut guest = match now.take() {
                    Some((of, guest)) if of == file => guest,
                    other => {
                        drop(other);
                        boot(images.path(), program, *systemd)?
                    }
                };
                let kind = if *systemd { "systemd" } else { "" };
                let script =
                    format!("{ALONE} sh /session / {PROGRAM} {file} '{name}' {GUEST_LIMIT} {kind}");
                let written = match guest.output(&script) {
                    Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
                    // It hangs or broke down; the next test gets another one.
                    Err(error) => return Ok(error.to_string()),
                };
                *now = Some((file.to_owned(), guest));
                Ok(written)
            }
        }
    }
}

fn boot(images: &Path, program: &[u8], systemd: bool) -> anyhow::Result<Guest> {
    let setup = Setup::default().large(2048, 2, LIFE).file(PROGRAM, 0o755, program.to_vec()).file(
        "/session",
        0o755,
        SESSION.as_bytes().to_vec(),
    );
    let setup = if systemd { setup.systemd() } else { setup };
    Ok(setup.boot_from(images)?)
}

/// Makes the disk, beside the kernel that other guests have.
fn disk(root: &Path) -> anyhow::Result<TempDir> {
    let ready = guest::ready()?;
    let images = tempfile::tempdir_in(ready.parent().context("a directory in another one")?)?;
    for name in kit::MODULES.map(|name| format!("{name}.ko")).iter().map(String::as_str) {
        symlink(ready.join(name), images.path().join(name))?;
    }
    symlink(ready.join(kit::KERNEL), images.path().join(kit::KERNEL))?;
    let modules = root.join("usr/lib/modules");
    if modules.exists() {
        fs::remove_dir_all(&modules)?;
    }
    run(Command::new("debugfs")
        .arg("-R")
        .arg(format!("rdump /usr/lib/modules {}", root.join("usr/lib").display()))
        .arg(ready.join(kit::DISK)))?;
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-d"])
        .arg(root)
        .arg(images.path().join(kit::DISK))
        .arg("8G"))?;
    Ok(images)
}
