//! How long `true` takes in a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::harness::{Contender, interleave};
use super::host::{self, Host};
use super::report::Report;
use super::who::Who;
use crate::run::capture;

pub(super) const WHAT_ROOT: &str = "`run --rm --network none IMAGE true` as root";
pub(super) const WHAT_USER: &str = "`run --rm --network none IMAGE true` as a user";

/// The least a container is made of, in C: what the kernel itself takes.
const FLOOR: &str = include_str!("floor.c");

pub(super) fn as_root(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    compare(&host.root(), rounds, &[])
}

pub(super) fn as_user(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    compare(&host.user()?, rounds, &["--rootless"])
}

fn compare(who: &Who<'_>, rounds: usize, spec: &[&str]) -> anyhow::Result<Report> {
    host::require(&["pull", "run"])?;
    let creel = who.load_creel("demo")?;
    let podman = who.load_podman("demo")?;
    let bundle = who.unpack("demo")?;
    write_spec(who, &bundle, spec, &["true"])?;
    let root = bundle.join("rootfs");
    let floor = compile_floor(who)?;
    let run = ["run", "--rm", "--network", "none"];
    let creel = [&run[..], &[&creel, "true"]].concat();
    let podman = [&run[..], &[&podman, "true"]].concat();

    let mut report = Report::default();
    let mut contenders = [
        Contender::new("creel", || who.creel(&creel)),
        Contender::new("podman", || who.podman(&podman)),
        Contender::new("crun, prepared bundle", || crun(who, &bundle)),
        Contender::new("bwrap, prepared root", || bwrap(who, &root, &["true"])),
        Contender::new("C floor, prepared root", || {
            let mut command = who.command(&floor);
            command.arg(&root).arg("/bin/true");
            command
        }),
    ];
    let samples = interleave(rounds, &mut contenders)?;
    report.add_times("mounted", &contenders, &samples);
    report.add_costs("mounted", &contenders, &samples);

    let mut unmounted =
        [Contender::new("creel", || who.creel(&creel)).prepared(|| who.unmount_creel())];
    let samples = interleave(rounds, &mut unmounted)?;
    report.add_times("unmounted", &unmounted, &samples);
    report.notes.push(NOTE.into());
    Ok(report)
}

const NOTE: &str = "Mounted: an earlier run has mounted the image's layers. Unmounted: nothing of the \
    image is mounted, as in the first run after a boot. podman mounts the layers at every run. crun \
    and bwrap find a directory with the unpacked image; the C floor makes the same namespaces, binds \
    that directory, mounts `/proc`, pivots and executes `true`, and has no cgroup, capabilities or \
    seccomp to set. What each confines by default is measured by the workload `isolation`.";

pub(super) fn crun(who: &Who<'_>, bundle: &Path) -> Command {
    let mut command = who.command("crun");
    command.arg("--root").arg(who.path("crun")).args(["run", "--bundle"]).arg(bundle).arg("bench");
    command
}

pub(super) fn bwrap(who: &Who<'_>, root: &Path, words: &[&str]) -> Command {
    let mut command = who.command("bwrap");
    command
        .args(["--unshare-all", "--die-with-parent", "--bind"])
        .arg(root)
        .args(["/", "--proc", "/proc", "--dev", "/dev"])
        .args(words);
    command
}

/// Writes crun's own default specification, with this process and without a terminal.
pub(super) fn write_spec(
    who: &Who<'_>,
    bundle: &Path,
    options: &[&str],
    words: &[&str],
) -> anyhow::Result<()> {
    let path = bundle.join("config.json");
    fs::remove_file(&path)?;
    capture(who.command("crun").arg("spec").args(options).current_dir(bundle))?;
    let mut spec: Value = serde_json::from_slice(&fs::read(&path)?)?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = words.into();
    fs::write(path, serde_json::to_vec(&spec)?)?;
    Ok(())
}

pub(super) fn compile_floor(who: &Who<'_>) -> anyhow::Result<PathBuf> {
    let program = who.path("floor");
    let source = who.path("floor.c");
    fs::write(&source, FLOOR)?;
    capture(Command::new("gcc").args(["-O2", "-static", "-Wall", "-o"]).arg(&program).arg(source))?;
    Ok(program)
}
