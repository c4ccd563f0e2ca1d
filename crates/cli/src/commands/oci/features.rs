//! `creel oci features`

use std::process::ExitCode;

use creel_runtime::features::Features;

use crate::failure::Failure;
use crate::output;

/// Print what of the specification is implemented, as JSON
///
/// Whether the kernel has all of it is not said.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode, Failure> {
    output::json(&Features::new())?;
    Ok(ExitCode::SUCCESS)
}
