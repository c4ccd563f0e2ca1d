//! Pulling a large image from a registry on loopback.

use std::process::Command;

use super::harness::{Contender, interleave};
use super::host::{self, Host};
use super::report::Report;
use super::who::{Who, remove};

pub(super) const WHAT: &str =
    "pull of an image of ≥ 400 MB, ≥ 3 layers and ≥ 40,000 files from a registry on loopback";

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["pull"])?;
    let image = host.push("big")?;
    let mut report = Report::default();
    compare(&mut report, "root", &host.root(), &image, rounds)?;
    compare(&mut report, "user", &host.user()?, &image, rounds)?;
    Ok(report)
}

fn compare(
    report: &mut Report,
    case: &str,
    who: &Who<'_>,
    image: &str,
    rounds: usize,
) -> anyhow::Result<()> {
    let pull = ["pull", "--quiet", "--tls-verify=false", image];
    let settle = || rustix::fs::sync();
    let mut contenders = [
        Contender::new("creel", || who.creel(&pull)).prepared(|| {
            who.clear_creel()?;
            settle();
            Ok(())
        }),
        Contender::new("podman", || who.podman(&pull)).prepared(|| {
            who.clear_podman()?;
            settle();
            Ok(())
        }),
        Contender::new("skopeo and umoci", || copy_and_unpack(who, image)).prepared(|| {
            remove(&who.path("pulled"))?;
            settle();
            Ok(())
        }),
    ];
    let samples = interleave(rounds, &mut contenders)?;
    report.add_times(case, &contenders, &samples);
    report.add_costs(case, &contenders, &samples);
    Ok(())
}

fn copy_and_unpack(who: &Who<'_>, image: &str) -> Command {
    let script = "set -e; umask 022; mkdir \"$1\"; \
        skopeo copy --quiet --src-tls-verify=false \"docker://$2\" \"oci:$1/layout:x\"; \
        if [ \"$(id -u)\" = 0 ]; then rootless=; else rootless=--rootless; fi; \
        umoci unpack $rootless --image \"$1/layout:x\" \"$1/bundle\"";
    let mut command = who.command("sh");
    command.args(["-c", script, "pull"]).arg(who.path("pulled")).arg(image);
    command
}
