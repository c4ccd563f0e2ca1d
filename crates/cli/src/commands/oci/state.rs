//! `creel oci state`

use std::process::ExitCode;

use creel_runtime::lifecycle::Runtime;

use super::Id;
use crate::failure::Failure;
use crate::output;

/// Print the state of a container, as JSON
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    id: Id,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    output::json(&runtime.state(&args.id.parse()?)?)?;
    Ok(ExitCode::SUCCESS)
}
