//! `creel oci pause`

use std::process::ExitCode;

use creel_runtime::lifecycle::Runtime;

use super::Id;
use crate::failure::Failure;

/// Stop all processes of a container until it is resumed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    id: Id,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    runtime.pause(&args.id.parse()?)?;
    Ok(ExitCode::SUCCESS)
}
