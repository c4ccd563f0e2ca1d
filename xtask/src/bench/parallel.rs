//! Many containers at once.

use std::process::Command;
use std::thread;

use super::harness::measure;
use super::host::{self, Host};
use super::report::{Report, Unit};
use super::stats::quantile;

pub(super) const WHAT: &str = "32 of `run --rm` at the same time: how long each takes";

/// Containers that start at once.
const AT_ONCE: usize = 32;

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["pull", "run"])?;
    let who = host.root();
    let creel = who.load_creel("demo")?;
    let podman = who.load_podman("demo")?;
    let run = ["run", "--rm", "--network", "none"];
    let ours = |_| who.creel(&[&run[..], &[&creel, "true"]].concat());
    let theirs = |_| who.podman(&[&run[..], &[&podman, "true"]].concat());
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        times[0].extend(at_once(AT_ONCE, &ours)?);
        times[1].extend(at_once(AT_ONCE, &theirs)?);
        eprint!(".");
    }
    eprintln!();
    let mut report = Report::default();
    for (name, times) in ["creel", "podman"].into_iter().zip(&times) {
        report.add("each", name, Unit::Seconds, times);
        report.add("99th percentile", name, Unit::Seconds, &[quantile(times, 0.99)]);
    }
    Ok(report)
}

/// Runs so many commands at the same time and returns how many seconds each took. `command` gets
/// the number of each.
pub(super) fn at_once(
    count: usize,
    command: &dyn Fn(usize) -> Command,
) -> anyhow::Result<Vec<f64>> {
    thread::scope(|scope| {
        let running: Vec<_> = (0..count)
            .map(|number| {
                let mut command = command(number);
                scope.spawn(move || measure(&mut command))
            })
            .collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended
            .map(|sample| match sample {
                Ok(sample) => Ok(sample?.wall),
                Err(_) => anyhow::bail!("a measuring thread panicked"),
            })
            .collect()
    })
}
