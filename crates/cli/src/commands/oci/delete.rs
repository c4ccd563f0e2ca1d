//! `creel oci delete`

use std::process::ExitCode;

use creel_runtime::lifecycle::{Deletion, Runtime};

use super::Id;
use crate::failure::Failure;

/// Delete a stopped container: its control group and all that is known about it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kill it if it runs; none of that name is no failure
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    id: Id,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let how = if args.force { Deletion::Forced } else { Deletion::Stopped };
    for error in runtime.delete(&args.id.parse()?, how)? {
        Failure::from(error).warn();
    }
    Ok(ExitCode::SUCCESS)
}
