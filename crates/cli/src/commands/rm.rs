//! `creel rm`

use std::process::ExitCode;

use creel_manager::containers::Removal;

use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;

/// Remove containers, with all they have changed
///
/// Prints the names of those removed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kill those that run, and remove those whose files are damaged
    #[arg(short, long)]
    force: bool,
    /// Containers to remove: names, ids, or beginnings of ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let how = if args.force { Removal::Forced } else { Removal::Stopped };
    let mut failed = None;
    for text in &args.containers {
        match engine.remove_container(text, how) {
            Ok(name) => output::text(&format!("{name}\n"))?,
            // The others go all the same; the last failure is what the command ends with.
            Err(error) => {
                if let Some(earlier) = failed.replace(Failure::from(error)) {
                    earlier.warn();
                }
            }
        }
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}
