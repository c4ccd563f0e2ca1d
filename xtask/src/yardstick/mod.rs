//! `./x yardstick`: a peer's own test suite, against creel in the peer's place.
//!
//! The suite stands ready in a directory outside the repository. Programs of the peer's name that
//! are creel take the peer's place.

mod page;
mod pytest;
mod reasons;
mod runc;

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::build;

/// Which suite, and where it is.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The suite's name
    name: String,
    /// Directory in which it stands ready; for runc, a root directory
    directory: PathBuf,
    /// Test this program, as the suite finds it, in place of creel as released; nothing is recorded
    #[arg(long, value_name = "PROGRAM")]
    with: Option<PathBuf>,
    /// Only these files of the suite, or the tests of a file with these words in their names; nothing
    /// is recorded
    #[arg(long, value_name = "FILE[:WORDS]")]
    only: Vec<String>,
}

impl Args {
    fn wants(&self, file: &str, name: &str) -> bool {
        let mut only = self.only.iter().map(|only| only.split_once(':').unwrap_or((only, "")));
        self.only.is_empty() || only.any(|(of, words)| of == file && name.contains(words))
    }
}

/// A peer's tests, and what runs them against a program.
struct Suite {
    name: &'static str,
    run: fn(&Args, &Path) -> anyhow::Result<Report>,
}

/// Each suite that can be run. A peer whose command line creel does not speak yet is not among them.
const SUITES: [Suite; 4] = [
    Suite { name: "dumb-init", run: pytest::dumb_init },
    Suite { name: "runc", run: runc::on_host },
    Suite { name: "runc-guest", run: runc::in_guests },
    Suite { name: "runc-systemd", run: runc::with_systemd },
];

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// What a run of a suite has shown.
#[derive(Debug, Default)]
struct Report {
    counts: Counts,
    /// Why tests fail, where that is written down: each reason with its tests.
    failures: Vec<(String, Vec<String>)>,
    /// What is written down and is not so, or is so and not written down.
    faults: Vec<String>,
}

/// Runs a suite and records how it ended.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Some(suite) = SUITES.iter().find(|suite| suite.name == args.name) else {
        let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("no suite is called `{}`: there are {}", args.name, names.join(", "));
    };
    let program = match &args.with {
        Some(program) => program.clone(),
        None => build::release()?.join("creel"),
    };
    let report = (suite.run)(args, &program)?;
    if report.counts == Counts::default() {
        bail!("the suite `{}` has run no tests: does it stand ready?", suite.name);
    }
    println!("{}: {:?}", suite.name, report.counts);
    if args.with.is_some() || !args.only.is_empty() {
        return Ok(());
    }
    page::record(suite.name, &report)?;
    if !report.faults.is_empty() {
        bail!("what is written down of the suite is not true:\n{}", report.faults.join("\n"));
    }
    Ok(())
}
