//! `./x guest`: the disk and the kernel of throw-away machines (`testkit::guest`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use creel_testkit::guest::{self as kit, Setup};

use crate::run::{self as shell, is_root, target_directory};
use crate::{debian, tools};

/// Completes the root and writes the disk.
const DISK: &str = include_str!("disk.sh");

/// What is installed beside the base system.
const PACKAGES: &str = "busybox-static,dbus-user-session,kmod,libcap2-bin,passwd,procps,python3-minimal,systemd,uidmap";

/// The kernel: as small as Debian has them, with control groups of version 2 and BPF.
const KERNEL: &str = "linux-image-cloud-amd64";

/// A command to run in a guest.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A program of this machine that is there at the same path
    #[arg(long)]
    with: Vec<PathBuf>,
    /// Script to run there by `sh` as root; without one, the guest tells what it is
    script: Option<String>,
}

/// Makes the disk where it is missing and runs a script in a guest.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    tools::install_packages(&tools::FOR_GUESTS)?;
    let mut programs = args.with.iter();
    let setup = programs
        .try_fold(Setup::default(), |setup, path| setup.program(fs::canonicalize(path)?))?;
    let mut guest = setup.boot_from(&ready()?)?;
    let script =
        args.script.as_deref().unwrap_or("uname -a; cat /sys/fs/cgroup/cgroup.controllers");
    let output = guest.output(script)?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "the script failed: {}", output.status);
    Ok(())
}

/// Returns the directory with the disk and the kernel, made first where it is missing.
pub(crate) fn ready() -> anyhow::Result<PathBuf> {
    if !is_root() {
        bail!("a guest's disk has files of every owner: run this as root");
    }
    let directory = target_directory().join("guest");
    let stamp = directory.join("made-of");
    let made_of = [PACKAGES, KERNEL, DISK, &release()?].join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|known| known == made_of) {
        return Ok(directory);
    }
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    let unpacked = directory.join("unpacked");
    tools::unpack(&image_package()?, &unpacked)?;
    take_kernel(&unpacked, &directory)?;
    make_disk(&unpacked, &directory.join(kit::DISK))?;
    fs::remove_dir_all(unpacked)?;
    fs::write(stamp, made_of)?;
    Ok(directory)
}

/// The host's own release: what is built here runs there.
fn release() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("a guest has the host's release of Debian: there is none here")?.to_owned())
}

/// The package that the kernel's name stands for.
fn image_package() -> anyhow::Result<String> {
    let known = || -> anyhow::Result<Option<String>> {
        let output =
            Command::new("apt-cache").args(["depends", KERNEL]).env("LC_ALL", "C").output()?;
        let text = String::from_utf8(output.stdout)?;
        let name = |line: &str| Some(line.trim().strip_prefix("Depends: ")?.to_owned());
        Ok(text.lines().filter_map(name).find(|name| name.starts_with("linux-image-")))
    };
    if let Some(package) = known()? {
        return Ok(package);
    }
    tools::update_packages()?;
    known()?.with_context(|| format!("apt knows no package {KERNEL}"))
}

/// Copies what a guest is booted with to where the tests look for it.
fn take_kernel(unpacked: &Path, to: &Path) -> anyhow::Result<()> {
    let only = |directory: PathBuf, prefix: &str| -> anyhow::Result<PathBuf> {
        let found = fs::read_dir(&directory)?.filter_map(Result::ok).map(|entry| entry.path());
        let named = |path: &PathBuf| {
            path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix))
        };
        found
            .into_iter()
            .find(named)
            .with_context(|| format!("no `{prefix}*` in `{}`", directory.display()))
    };
    fs::copy(only(unpacked.join("boot"), "vmlinuz-")?, to.join(kit::KERNEL))?;
    let drivers = only(unpacked.join("lib/modules"), "")?.join("kernel/drivers");
    for name in kit::MODULES.map(|name| format!("{name}.ko")) {
        let found = ["virtio", "block"].map(|part| drivers.join(part).join(&name));
        let module = found.iter().find(|path| path.exists());
        let module = module.with_context(|| format!("the kernel has no module {name}"))?;
        fs::copy(module, to.join(name))?;
    }
    Ok(())
}

fn make_disk(kernel: &Path, to: &Path) -> anyhow::Result<()> {
    tools::install_packages(&tools::FOR_IMAGES)?;
    let root = to.with_extension("root");
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--format=directory"]).arg(format!("--include={PACKAGES}"));
    debian::bootstrap(&mut command, &release()?, &root)?;
    shell::run(Command::new("sh").args(["-c", DISK, "disk"]).args([root.as_path(), kernel, to]))?;
    Ok(fs::remove_dir_all(root)?)
}
