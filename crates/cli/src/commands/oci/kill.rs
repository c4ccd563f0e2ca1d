//! `creel oci kill`

use std::process::ExitCode;

use creel_image::signal::{ParseSignalError, Signal};
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
    /// Signal, by number or by name with or without `SIG`; 0 only looks whether it could be sent
    #[arg(default_value = "TERM", value_name = "SIGNAL", value_parser = number)]
    signal: i32,
}

fn number(text: &str) -> Result<i32, ParseSignalError> {
    if text == "0" { Ok(0) } else { text.parse().map(|signal: Signal| signal.number().into()) }
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    match runtime.signal(&args.id.parse()?, args.signal) {
        Err(error) if args.all && error.is_not_running() => {}
        sent => sent?,
    }
    Ok(ExitCode::SUCCESS)
}
