//! `creel jail`

mod policy;

use std::process::ExitCode;

use crate::failure::Failure;

/// Confine commands of the host as minijail does
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Policy(policy::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Policy(args) => policy::run(args),
    }
}
