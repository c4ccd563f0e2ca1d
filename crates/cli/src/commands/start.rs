//! `creel start`

use std::process::ExitCode;

use crate::failure::Failure;
use crate::foreground;
use crate::protection;
use crate::settings::Globals;

/// Run a container's command again, with what it has changed so far
///
/// Stays until the command has ended, as `creel run` does, and exits with its code.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Container to start: its name, its id, or the beginning of its id
    container: String,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    protection::ensure()?;
    let engine = globals.engine()?;
    let container = engine.find_container(&args.container)?;
    let prepared = engine.prepare_again(container)?;
    foreground::run(prepared.with_own_file(protection::mount()))
}
