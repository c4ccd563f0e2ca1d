//! What the tasks need from outside, and getting it.

use std::process::{Command, Stdio};

use anyhow::bail;

use crate::run::{cargo, is_root, on_path, run};

/// A program and the Debian package that has it.
type Packaged = (&'static str, &'static str);

/// What the tests use as peers and judges.
const FOR_TESTS: [Packaged; 7] = [
    ("fsck.erofs", "erofs-utils"),
    ("busybox", "busybox-static"),
    ("docker-registry", "docker-registry"),
    ("newuidmap", "uidmap"),
    ("setcap", "libcap2-bin"),
    ("setfattr", "attr"),
    ("openssl", "openssl"),
];

/// Cargo subcommands, each with the version that is known to work.
const CARGO_TOOLS: [(&str, &str); 2] = [("cargo-nextest", "0.9.143"), ("cargo-deny", "0.20.2")];

/// Installs everything that any task needs.
pub(crate) fn install_all() -> anyhow::Result<()> {
    install_packages(&FOR_TESTS)?;
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
    run(Command::new("apt-get").args(["-qq", "update"]))?;
    run(Command::new("apt-get")
        .args(["-qq", "install", "-y", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))
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
    on_path(program) || system.iter().any(|d| std::path::Path::new(d).join(program).is_file())
}
