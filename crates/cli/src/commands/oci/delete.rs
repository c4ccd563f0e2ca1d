//! `creel oci delete`

use std::process::ExitCode;

use creel_runtime::lifecycle::{ContainerId, Deletion, Runtime};

use crate::failure::Failure;

/// Delete stopped containers: their control groups and all that is known about them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kill those that run; none of a name is no failure
    #[arg(short, long)]
    force: bool,
    /// The containers
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let how = if args.force { Deletion::Forced } else { Deletion::Stopped };
    for id in &args.ids {
        for error in runtime.delete(&ContainerId::parse(id)?, how)? {
            Failure::from(error).warn();
        }
    }
    Ok(ExitCode::SUCCESS)
}
