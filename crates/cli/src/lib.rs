//! The creel command line: argv in, output and exit codes out.
//!
//! The only crate that prints, reads the environment or exits. One subcommand is one file under
//! `commands/`, and the file tree mirrors the command tree.
#![forbid(unsafe_code)]

mod attach;
mod commands;
mod container_options;
mod env_file;
mod failure;
mod foreground;
mod host;
mod names;
mod output;
mod process_options;
mod progress;
mod protection;
mod registry;
mod settings;
mod streams;
mod table;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

pub use commands::Cli;
use failure::Failure;

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    match protection::ensure_early(&argv) {
        Ok(()) => run(argv),
        Err(failure) => failure.report(),
    }
}

/// Runs the program with these arguments, the program's own name first.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = command();
    let argv = names::translate(argv.into_iter().collect(), &command);
    let refused_code = commands::usage_code(&argv);
    let cli = command.try_get_matches_from(argv).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match cli {
        Ok(cli) => cli,
        Err(refused) => return Failure::usage(&refused, refused_code),
    };
    match cli.run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Returns the one definition that parsing, help, completions and man pages come from.
pub fn command() -> clap::Command {
    Cli::command()
}
