//! `creel jail`

mod policy;
mod run;

use std::process::ExitCode;

use crate::failure::Failure;

/// Confine a command of the host as minijail does
///
/// Takes minijail0's options, then the path of a program and its arguments: `creel jail -u nobody -g nogroup
/// -n -S FILE -- /usr/bin/id`. `creel jail -h` lists the options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Options of minijail0, the program and its arguments
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Policy(policy::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.command {
        Some(Command::Policy(args)) => policy::run(args),
        None => run::run(&args.words),
    }
}
