//! `creel sandbox`, and this program under the name `bwrap`.
//!
//! The words are read in order by `creel_sandbox::line`, since their order is that of what is done, and
//! before anything else is done with the command line: a sandbox starts faster than that is read.

mod bwrap;
mod host;
mod launch;
mod options;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use creel_sandbox::Filter;
use creel_sandbox::line::{Parsed, parse};

use crate::failure::Failure;
use host::Inherited;
use launch::Launched;
use options::OPTIONS;

/// Run a command of the host, confined
///
/// The command gets a root that is empty at first and changed in the order of the options, and the
/// namespaces that they ask for; all of it works without privileges. The options are bubblewrap's. Ends
/// with the command's exit status, or 128 plus the signal that ended it; 126 says that it cannot be
/// executed, 127 that it was not found, and 125 that creel failed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = OPTIONS)]
pub(crate) struct Args {
    /// Options of the sandbox, then the command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Runs what the command line is for, if it is for a sandbox.
pub(crate) fn early(argv: &[OsString]) -> Option<ExitCode> {
    let (name, words) = argv.split_first()?;
    if is_bwrap(Path::new(name)) {
        return Some(bwrap::run(name, words));
    }
    let (command, words) = words.split_first()?;
    // Help is written by what writes all other help.
    let asks = words.first().is_none_or(|word| word == "--help" || word == "-h");
    (command == "sandbox" && !asks).then(|| run_words(words).unwrap_or_else(|told| told.report()))
}

/// Whether the program was called by that name. `/proc/self/exe` is none: its file has one.
fn is_bwrap(name: &Path) -> bool {
    let is = |path: &Path| path.file_name().is_some_and(|name| name == "bwrap");
    is(name) || name == EXE && std::fs::read_link(EXE).is_ok_and(|path| is(&path))
}

const EXE: &str = "/proc/self/exe";

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    run_words(&args.words)
}

fn run_words(words: &[OsString]) -> Result<ExitCode, Failure> {
    let mut line = match parse(words.iter().cloned(), &mut Inherited::with_names())? {
        Parsed::Line(line) => *line,
        Parsed::Help => return Err(Failure::new("`--help` comes first")),
        Parsed::Version => return Err(Failure::new("`--version` is an option of `creel`")),
    };
    for remark in &line.remarks {
        Failure::remark(&remark.to_string());
    }
    // Loaded before others, which may let through less than loading takes.
    if line.default_filter != Some(false)
        && let Some(filter) = Filter::terminal()
    {
        line.sandbox.program.filters.insert(0, filter);
    }
    match launch::launch(line, false) {
        Ok(Launched::Ended(code)) => Ok(ExitCode::from(code)),
        Ok(Launched::Lost(error)) => Err(Failure::supervision(&error)),
        Err(error) => {
            let code = error.exit_code();
            Err(Failure::from(error).with_code(code))
        }
    }
}
