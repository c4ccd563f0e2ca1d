//! Listing many images and many containers.

use super::harness::{Contender, interleave};
use super::host::{self, Host};
use super::report::Report;
use super::who::Who;
use crate::run::capture;

pub(super) const WHAT: &str = "`images` and `ps --all` with 500 entries";

/// Entries in each list.
const MANY: usize = 500;

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["pull", "tag", "run", "images", "ps"])?;
    let who = host.root();
    fill(&who)?;
    let mut report = Report::default();
    for (case, words) in [("images", &["images"][..]), ("ps --all", &["ps", "--all"])] {
        let mut contenders = [
            Contender::new("creel", || who.creel(words)),
            Contender::new("podman", || who.podman(words)),
        ];
        let samples = interleave(rounds, &mut contenders)?;
        report.add_times(case, &contenders, &samples);
    }
    Ok(report)
}

/// Gives an image many names and makes many containers of it.
fn fill(who: &Who<'_>) -> anyhow::Result<()> {
    let creel = who.load_creel("demo")?;
    let podman = who.load_podman("demo")?;
    for number in 0..MANY {
        let name = format!("many-{number}");
        capture(&mut who.creel(&["tag", &creel, &name]))?;
        capture(&mut who.podman(&["tag", &podman, &name]))?;
        let run = ["run", "--name", &name, "--network", "none"];
        capture(&mut who.creel(&[&run[..], &[&creel, "true"]].concat()))?;
        let create = ["create", "--name", &name, "--network", "none"];
        capture(&mut who.podman(&[&create[..], &[&podman, "true"]].concat()))?;
    }
    Ok(())
}
