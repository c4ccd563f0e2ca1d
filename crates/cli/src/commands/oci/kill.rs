//! `creel oci kill`

use std::process::ExitCode;

use creel_image::signal::Signal;
use creel_runtime::lifecycle::Runtime;

use super::Id;
use crate::failure::Failure;

/// Send a signal to the first process of a container
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A stopped container is no failure
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    id: Id,
    /// Signal, by number or by name with or without `SIG`
    #[arg(default_value = "TERM", value_name = "SIGNAL")]
    signal: Signal,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let signal = i32::from(args.signal.number());
    match runtime.signal(&args.id.parse()?, signal) {
        Err(error) if args.all && error.is_not_running() => {}
        sent => sent?,
    }
    Ok(ExitCode::SUCCESS)
}
