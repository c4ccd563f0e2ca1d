//! `./x yardstick`: a peer's own test suite, against creel in the peer's place.
//!
//! The suite stands ready in a directory outside the repository, built and with what it needs
//! installed. Programs of the peer's name that call creel come first on `PATH`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::build;
use crate::run::{output, repository};

/// Where the results are recorded.
const PAGE: &str = "docs/compat.md";

/// Which suite, and where it is.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The suite's name
    name: String,
    /// Directory in which it stands ready
    directory: PathBuf,
}

/// A peer's tests.
struct Suite {
    name: &'static str,
    /// The peer's programs, and what of creel stands in for each.
    stand_ins: &'static [(&'static str, &'static str)],
    /// What runs the tests, in their directory.
    command: &'static [&'static str],
    /// How the results are told from the output.
    count: fn(&str) -> Counts,
}

/// Each suite that can be run. A peer whose command line creel does not speak yet is not among them.
const SUITES: [Suite; 1] = [Suite {
    name: "dumb-init",
    stand_ins: &[("dumb-init", "init")],
    command: &["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
    count: pytest,
}];

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Runs a suite and records how it ended.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Some(suite) = SUITES.iter().find(|suite| suite.name == args.name) else {
        let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("no suite is called `{}`: there are {}", args.name, names.join(", "));
    };
    let creel = build::release()?.join("creel");
    let programs = tempfile::tempdir()?;
    for (program, command) in suite.stand_ins {
        stand_in(&programs.path().join(program), &creel, command)?;
    }
    let (text, _) = output(&mut suite_command(suite, &args.directory, programs.path())?)?;
    println!("{text}");
    let counts = (suite.count)(&text);
    if counts == Counts::default() {
        bail!("the suite `{}` has run no tests: does it stand ready?", suite.name);
    }
    println!("{}: {counts:?}", suite.name);
    record(suite.name, counts)
}

/// Makes a program that calls a command of creel.
fn stand_in(path: &Path, creel: &Path, command: &str) -> anyhow::Result<()> {
    fs::write(path, format!("#!/bin/sh\nexec '{}' {command} \"$@\"\n", creel.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn suite_command(suite: &Suite, directory: &Path, programs: &Path) -> anyhow::Result<Command> {
    let (program, arguments) = suite.command.split_first().context("a suite without a command")?;
    let mut paths = vec![programs.to_owned()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).env("PATH", std::env::join_paths(paths)?);
    Ok(command)
}

/// Reads the last line of pytest: `1 failed, 2 passed, 3 skipped in 0.12s`.
fn pytest(text: &str) -> Counts {
    let last = text.trim_end().lines().last().unwrap_or_default().trim_matches(['=', ' ']);
    let mut counts = Counts::default();
    for part in last.split(" in ").next().unwrap_or_default().split(", ") {
        let Some((number, what)) = part.split_once(' ') else { continue };
        let number = number.parse().unwrap_or(0);
        match what {
            "passed" => counts.passed = number,
            "failed" | "error" | "errors" => counts.failed += number,
            "skipped" => counts.skipped = number,
            _ => {}
        }
    }
    counts
}

/// Puts the suite's line of the table in place of its last one.
fn record(name: &str, counts: Counts) -> anyhow::Result<()> {
    let path = repository().join(PAGE);
    let page = fs::read_to_string(&path)?;
    fs::write(path, with_line(&page, name, counts))?;
    Ok(())
}

/// The line that starts the table's body.
const RULE: &str = "|---|--:|--:|--:|";

fn with_line(page: &str, name: &str, counts: Counts) -> String {
    let (head, body) = page.split_once(RULE).unwrap_or((page, ""));
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    for line in body.lines().filter(|line| line.starts_with("| ")) {
        if let Some(name) = line.split('|').nth(1) {
            lines.insert(name.trim(), line.to_owned());
        }
    }
    let Counts { passed, failed, skipped } = counts;
    lines.insert(name, format!("| {name} | {passed} | {failed} | {skipped} |"));
    let lines: Vec<String> = lines.into_values().collect();
    format!("{head}{RULE}\n{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn counts(passed: usize, failed: usize, skipped: usize) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn results_are_counted() {
        assert_eq!(pytest("x\n== 1 failed, 20 passed, 3 skipped in 0.12s ==\n"), counts(20, 1, 3));
        assert_eq!(pytest("2 passed in 1.00s"), counts(2, 0, 0));
        assert_eq!(pytest("no tests ran in 0.01s"), counts(0, 0, 0));
    }

    #[test]
    fn a_suite_has_one_line_in_order_of_names() {
        let page = format!("# Head\n\n| suite |\n{RULE}\n| b | 1 | 0 | 0 |\n");
        let page = with_line(&page, "a", counts(5, 0, 0));
        let page = with_line(&page, "b", counts(2, 1, 0));
        assert_eq!(
            page,
            format!("# Head\n\n| suite |\n{RULE}\n| a | 5 | 0 | 0 |\n| b | 2 | 1 | 0 |\n")
        );
    }
}
