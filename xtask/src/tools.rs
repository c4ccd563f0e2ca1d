//! What the tasks need from outside, and getting it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::run::{cargo, is_root, on_path, run, target_directory};

/// A program and the Debian package that has it.
type Packaged = (&'static str, &'static str);

/// What makes real images.
pub(crate) const FOR_IMAGES: [Packaged; 1] = [("mmdebstrap", "mmdebstrap")];

/// What the demo needs.
pub(crate) const FOR_DEMO: [Packaged; 2] = [("newuidmap", "uidmap"), ("useradd", "passwd")];

/// What guests need.
pub(crate) const FOR_GUESTS: [Packaged; 3] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("busybox", "busybox-static"),
];

/// What the tests use as judges and helpers.
const FOR_TESTS: [Packaged; 6] = [
    ("fsck.erofs", "erofs-utils"),
    ("busybox", "busybox-static"),
    ("newuidmap", "uidmap"),
    ("setcap", "libcap2-bin"),
    ("setfattr", "attr"),
    ("openssl", "openssl"),
];

/// Cargo subcommands, each with the version that is known to work.
const CARGO_TOOLS: [(&str, &str); 2] = [("cargo-nextest", "0.9.143"), ("cargo-deny", "0.20.2")];

/// Installs everything that any task needs.
pub(crate) fn install_all() -> anyhow::Result<()> {
    let packages = [&FOR_IMAGES[..], &FOR_DEMO, &FOR_TESTS, &FOR_GUESTS].concat();
    install_packages(&packages)?;
    docker_registry()?;
    install_cargo_tools()
}

/// Installs what is missing of `wanted`, or says how to.
pub(crate) fn install_packages(wanted: &[Packaged]) -> anyhow::Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| !on_root_path(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        bail!("missing: run `sudo apt-get install {}`, then this again", missing.join(" "));
    }
    eprintln!("x: installing {}", missing.join(" "));
    update_packages()?;
    run(Command::new("apt-get")
        .args(["-qq", "install", "-y", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))
}

/// Makes apt read its lists of packages again.
pub(crate) fn update_packages() -> anyhow::Result<()> {
    if !is_root() {
        bail!("apt knows no packages: run `sudo apt-get update`, then this again");
    }
    run(Command::new("apt-get").args(["-qq", "update"]))
}

/// Returns Debian's docker-registry. Where it is not installed it is only unpacked: installing the
/// package would start a registry for all of the network.
pub(crate) fn docker_registry() -> anyhow::Result<PathBuf> {
    if on_path("docker-registry") {
        return Ok("docker-registry".into());
    }
    let directory = target_directory().join("docker-registry");
    let program = directory.join("usr/bin/docker-registry");
    if program.exists() {
        return Ok(program);
    }
    unpack("docker-registry", &directory)?;
    Ok(program)
}

/// Unpacks a Debian package into a directory, without installing it.
pub(crate) fn unpack(package: &str, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let mut download = Command::new("apt-get");
    download
        .args(["-qq", "-o", "APT::Sandbox::User=root", "download", package])
        .current_dir(directory);
    if run(&mut download).is_err() {
        update_packages()?;
        run(&mut download)?;
    }
    for entry in fs::read_dir(directory)? {
        let archive = entry?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(directory))?;
        }
    }
    Ok(())
}

/// Installs the cargo subcommands that are missing; a newer version that is there will do.
pub(crate) fn install_cargo_tools() -> anyhow::Result<()> {
    for (tool, version) in CARGO_TOOLS {
        if on_path(tool) {
            continue;
        }
        eprintln!("x: installing {tool}");
        run(cargo().args(["install", "--locked", tool, "--version", version]))?;
    }
    Ok(())
}

/// Some programs live in directories that only root has on `PATH`.
fn on_root_path(program: &str) -> bool {
    let system = ["/usr/sbin", "/sbin"];
    on_path(program) || system.iter().any(|d| Path::new(d).join(program).is_file())
}
