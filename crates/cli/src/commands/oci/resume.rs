//! `creel oci resume`

use std::process::ExitCode;

use creel_runtime::lifecycle::Runtime;

use super::Id;
use crate::failure::Failure;

/// Let the processes of a paused container go on
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    id: Id,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    runtime.resume(&args.id.parse()?)?;
    Ok(ExitCode::SUCCESS)
}
