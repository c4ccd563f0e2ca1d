//! `creel exec`

use std::path::PathBuf;
use std::process::ExitCode;

use creel_manager::containers::{ExecOptions, Stdio};

use crate::attach;
use crate::env_file;
use crate::failure::Failure;
use crate::foreground;
use crate::protection;
use crate::settings::Globals;

/// Run a further command in a running container
///
/// Exits with the code of the command, as `creel run` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pass standard input on to the command
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Set an environment variable; `NAME` alone takes the value it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read environment variables from a file, one `NAME=VALUE` a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Set the working directory
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// Run as a user and group of the container, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
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
    let container = engine.containers()?.find(&args.container)?;
    let signals = attach::gather_signals().map_err(|error| Failure::terminal(&error))?;
    let started = engine.exec(&container, &options(args)?).map_err(Failure::run)?;
    foreground::run_exec(started, &signals, args.interactive)
}

fn options(args: &Args) -> Result<ExecOptions, Failure> {
    let mut env = Vec::new();
    for file in &args.env_file {
        env.extend(env_file::read(file)?);
    }
    env.extend(args.env.iter().filter_map(|text| env_file::variable(text)));
    Ok(ExecOptions {
        command: args.command.clone(),
        env,
        cwd: args.workdir.clone(),
        user: args.user.clone(),
        terminal: args.tty.then(attach::terminal_size),
        privileged: args.privileged,
        stdio: if args.interactive { Stdio::Inherit } else { Stdio::NoInput },
    })
}
