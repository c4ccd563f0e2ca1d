//! What callers of `bwrap` expect: its words on standard error, and 1 for every failure.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::process::ExitCode;

use creel_base::printable::printable;
use creel_sandbox::line::{Line, LineError, Parsed, parse};
use creel_sandbox::{SandboxError, Step};

use super::host::Inherited;
use super::launch::{Launched, launch};
use super::options::OPTIONS;
use crate::failure::Failure;

/// Of everything that is no exit code of the program.
const FAILED: u8 = 1;
/// Levels of `syslog(3)`.
const ERROR: u8 = 3;
const WARNING: u8 = 4;

/// The newest version of bubblewrap whose command line is understood.
const VERSION: &str = "bubblewrap 0.11.1";

pub(super) fn run(name: &OsStr, words: &[OsString]) -> ExitCode {
    if words.is_empty() {
        print(&mut io::stderr().lock(), &usage(name));
        return ExitCode::from(FAILED);
    }
    let line = match parse(words.iter().cloned(), &mut Inherited::default()) {
        Ok(Parsed::Line(line)) => line,
        Ok(Parsed::Help) => return print(&mut io::stdout().lock(), &usage(name)),
        Ok(Parsed::Version) => {
            let version = env!("CARGO_PKG_VERSION");
            return print(&mut io::stdout().lock(), &format!("{VERSION} (creel {version})\n"));
        }
        Err(LineError::Filter(_)) => {
            return fail(false, "Invalid seccomp data, must be multiple of 8");
        }
        Err(error) => return fail(false, &Failure::from(error).message()),
    };
    let prefix = line.level_prefix;
    for remark in &line.remarks {
        tell(prefix, WARNING, &remark.to_string());
    }
    if line.words.is_empty() {
        print(&mut io::stderr().lock(), &usage(name));
        return ExitCode::from(FAILED);
    }
    run_line(*line, prefix)
}

fn run_line(line: Line, prefix: bool) -> ExitCode {
    match launch(line, true) {
        Ok(Launched::Ended(code)) => ExitCode::from(code),
        Ok(Launched::Lost(error)) => fail(prefix, &Failure::supervision(&error).message()),
        Err(error) => fail(prefix, &words(error)),
    }
}

/// The words by which scripts tell some failures.
fn words(error: SandboxError) -> String {
    match error {
        SandboxError::Step { step: Step::Source(path), source, .. } => {
            format!("Can't find source path {}: {source}", path.display())
        }
        SandboxError::MountOnLink { at } => {
            format!("Can't mount on symlink destination {}", at.display())
        }
        SandboxError::Obstructed { at, found: Some(found) } => {
            let (at, found) = (at.display(), found.display());
            format!("Can't make symlink at {at}: existing destination is {found}")
        }
        SandboxError::Execute { program, source } => {
            format!("execvp {}: {source}", program.display())
        }
        error => Failure::from(error).message(),
    }
}

fn usage(name: &OsStr) -> String {
    format!("usage: {} [OPTIONS...] [--] COMMAND [ARGS...]\n\n{OPTIONS}\n", name.display())
}

fn print(to: &mut impl io::Write, text: &str) -> ExitCode {
    // A reader that has gone away is no failure of ours.
    let _ = to.write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn tell(prefix: bool, level: u8, words: &str) {
    let level = if prefix { format!("<{level}>") } else { String::new() };
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr().lock(), "{level}bwrap: {}", printable(words));
}

fn fail(prefix: bool, words: &str) -> ExitCode {
    tell(prefix, ERROR, words);
    ExitCode::from(FAILED)
}
