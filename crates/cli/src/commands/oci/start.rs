//! `creel oci start`

use std::process::ExitCode;

use creel_runtime::lifecycle::Runtime;

use super::Id;
use crate::failure::Failure;

/// Start the program of a container that was created
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    id: Id,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    runtime.start(&args.id.parse()?)?;
    Ok(ExitCode::SUCCESS)
}
