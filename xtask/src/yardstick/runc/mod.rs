//! runc's tests, each in a session of its own.

mod place;
mod tap;

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use self::place::Place;
use self::tap::Ended;
use super::reasons::Reasons;
use super::{Args, Report};
use crate::run::target_directory;

/// Where the suite is in the root directory in which it stands ready.
const TESTS: &str = "runc/tests/integration";

/// The suite on this host, which has control groups of version 1.
pub(super) fn on_host(args: &Args, program: &Path) -> anyhow::Result<Report> {
    let place = Place::host(&args.directory, program);
    report(place, tests(args, |_| true)?, include_str!("reasons-host.txt"))
}

/// What of the suite looks at control groups of version 2, in guests.
pub(super) fn in_guests(args: &Args, program: &Path) -> anyhow::Result<Report> {
    let place = Place::guests(&args.directory, program, false)?;
    report(place, tests(args, looks_at_version_2)?, include_str!("reasons-guest.txt"))
}

/// The same with the control groups made by systemd.
pub(super) fn with_systemd(args: &Args, program: &Path) -> anyhow::Result<Report> {
    let place = Place::guests(&args.directory, program, true)?;
    report(place, tests(args, looks_at_version_2)?, include_str!("reasons-systemd.txt"))
}

fn looks_at_version_2(text: &str) -> bool {
    ["cgroups_v2", "CGROUP_V2"].iter().any(|word| text.contains(word))
}

/// Runs the tests and holds what fails against what is written down.
fn report(mut place: Place, tests: Vec<(String, String)>, reasons: &str) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut failed = Vec::new();
    let logs = target_directory().join("yardstick");
    fs::create_dir_all(&logs)?;
    for (file, name) in tests {
        let text = place.run(&file, &tap::expression(&name))?;
        let test = format!("{file}: {name}");
        match tap::ended(&text) {
            Ended::Passed => report.counts.passed += 1,
            Ended::Skipped(_) => report.counts.skipped += 1,
            Ended::Failed => {
                report.counts.failed += 1;
                failed.push(test.clone());
            }
        }
        println!("{} {test}", tap::ended(&text).word());
        fs::write(logs.join(test.replace('/', "-")), text)?;
    }
    let reasons = Reasons::parse(reasons);
    report.faults = reasons.faults(&failed);
    report.failures = reasons.into_rows();
    Ok(report)
}

/// The tests of those files that shall be run, in their order, each with its file.
fn tests(args: &Args, shall: fn(&str) -> bool) -> anyhow::Result<Vec<(String, String)>> {
    let directory = args.directory.join(TESTS);
    let entries = fs::read_dir(&directory)
        .with_context(|| format!("there is no suite in `{}`", directory.display()))?;
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".bats"))
        .collect();
    files.sort();
    let mut tests = Vec::new();
    for file in files {
        let text = fs::read_to_string(directory.join(&file))?;
        if shall(&text) {
            tests.extend(tap::names(&text).map(|name| (file.clone(), name)));
        }
    }
    tests.retain(|(file, name)| args.wants(file, name));
    Ok(tests)
}
