//! Removing an image.

use std::cell::RefCell;

use super::harness::{Contender, interleave};
use super::host::{self, Host};
use super::report::Report;
use super::who::Who;

pub(super) const WHAT: &str = "`rmi` of a large and of a small image";

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["pull", "rmi"])?;
    let mut report = Report::default();
    for (case, who) in [("root", host.root()), ("user", host.user()?)] {
        for image in ["big", "demo"] {
            compare(&mut report, &format!("{case}, {image}"), &who, image, rounds)?;
            who.clear_creel()?;
            who.clear_podman()?;
        }
    }
    Ok(report)
}

fn compare(
    report: &mut Report,
    case: &str,
    who: &Who<'_>,
    image: &str,
    rounds: usize,
) -> anyhow::Result<()> {
    // The id of what the preparing has pulled; removing by id removes all names.
    let (ours, theirs) = (RefCell::new(String::new()), RefCell::new(String::new()));
    let remove = ["rmi", "--force"];
    let mut contenders = [
        Contender::new("creel", || who.creel(&[&remove[..], &[&ours.borrow()]].concat())).prepared(
            || {
                ours.replace(who.load_creel(image)?);
                rustix::fs::sync();
                Ok(())
            },
        ),
        Contender::new("podman", || who.podman(&[&remove[..], &[&theirs.borrow()]].concat()))
            .prepared(|| {
                theirs.replace(who.load_podman(image)?);
                rustix::fs::sync();
                Ok(())
            }),
    ];
    let samples = interleave(rounds, &mut contenders)?;
    report.add_times(case, &contenders, &samples);
    Ok(())
}
