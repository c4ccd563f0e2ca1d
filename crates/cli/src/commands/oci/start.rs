//! `creel oci start`

use std::process::ExitCode;

use creel_runtime::lifecycle::Runtime;

use super::Id;
use super::service::Service;
use crate::failure::Failure;

/// Start the program of a container that was created
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    id: Id,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let id = args.id.parse()?;
    let service = Service::of(runtime, &id)?;
    runtime.start(&id)?;
    service.map_or(Ok(()), |service| service.hand_over())?;
    Ok(ExitCode::SUCCESS)
}
