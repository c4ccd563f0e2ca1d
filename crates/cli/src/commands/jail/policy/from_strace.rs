//! `creel jail policy from-strace`

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use creel_base::path::{Action, PathError};
use creel_sandbox::policy::Trace;

use super::files;
use crate::failure::Failure;
use crate::output;

/// Make a policy of what a program was seen to do
///
/// Takes what `strace -f -e raw=all -o FILE PROGRAM` writes, with names instead of numbers too, and audit
/// logs. Let the program fail in a trace as well: what is not seen will not be allowed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with traces; `-` is standard input
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// File to write to how often each call was made, for `@frequency`
    #[arg(long, value_name = "FILE")]
    frequency: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut trace = Trace::default();
    for path in &args.traces {
        trace.add(&files::text(path)?);
    }
    if trace.is_empty() {
        return Err(Failure::new("no line of these files is a system call"));
    }
    if let Some(path) = &args.frequency {
        fs::write(path, trace.frequencies())
            .map_err(|error| PathError::new(Action::Write, path, error))?;
    }
    output::text(&trace.policy())?;
    Ok(ExitCode::SUCCESS)
}
