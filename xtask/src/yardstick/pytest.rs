//! Suites that pytest runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::{Args, Counts, Report};
use crate::run::output;

/// dumb-init's tests, which are unpacked in the directory.
pub(super) fn dumb_init(args: &Args, program: &Path) -> anyhow::Result<Report> {
    let programs = tempfile::tempdir()?;
    stand_in(&programs.path().join("dumb-init"), program, "init")?;
    let mut paths = vec![programs.path().to_owned()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new("python3");
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"])
        .args(&args.only)
        .current_dir(&args.directory)
        .env("PATH", std::env::join_paths(paths)?);
    let (text, _) = output(&mut command)?;
    println!("{text}");
    Ok(Report { counts: counts(&text), ..Report::default() })
}

/// Makes a program that calls a command of creel.
fn stand_in(path: &Path, creel: &Path, command: &str) -> anyhow::Result<()> {
    fs::write(path, format!("#!/bin/sh\nexec '{}' {command} \"$@\"\n", creel.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Reads the last line: `1 failed, 2 passed, 3 skipped in 0.12s`.
fn counts(text: &str) -> Counts {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted() {
        let ended = |passed, failed, skipped| Counts { passed, failed, skipped };
        assert_eq!(counts("x\n== 1 failed, 20 passed, 3 skipped in 0.12s ==\n"), ended(20, 1, 3));
        assert_eq!(counts("2 passed in 1.00s"), ended(2, 0, 0));
        assert_eq!(counts("no tests ran in 0.01s"), ended(0, 0, 0));
    }
}
