//! `creel exec`

use std::process::ExitCode;

use creel_manager::containers::ExecOptions;

use crate::attach;
use crate::failure::Failure;
use crate::foreground;
use crate::process_options::ProcessArgs;
use crate::protection;
use crate::settings::Globals;

/// Run a further command in a running container
///
/// Exits with the code of the command, as `creel run` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    process: ProcessArgs,
    /// Lift the restrictions of capabilities and system calls
    #[arg(long)]
    privileged: bool,
    /// Container to run in: its name, its id, or the beginning of its id
    container: String,
    /// Command to run, with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    protection::ensure()?;
    let engine = globals.engine_outside()?;
    let container = engine.find_container(&args.container)?;
    let signals = attach::gather_signals().map_err(|error| Failure::terminal(&error))?;
    let started = engine.exec(&container, &options(args)?).map_err(Failure::run)?;
    foreground::run_exec(started, &signals, args.process.interactive)
}

fn options(args: &Args) -> Result<ExecOptions, Failure> {
    Ok(ExecOptions {
        command: args.command.clone(),
        env: args.process.environment()?,
        cwd: args.process.directory()?,
        user: args.process.user.clone(),
        terminal: args.process.terminal(),
        privileged: args.privileged,
        stdio: args.process.stdio(),
    })
}
