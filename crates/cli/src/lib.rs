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
    #[cfg(debug_assertions)]
    fail_as_told();
    if let Some(code) = commands::sandbox::early(&argv) {
        return code;
    }
    match protection::ensure_early(&argv) {
        Ok(()) => run(argv),
        Err(failure) => failure.report(),
    }
}

/// Tests try what remains of a container at every step that can fail.
#[cfg(debug_assertions)]
fn fail_as_told() {
    let told = std::env::var("CREEL_TEST_FAULT").ok();
    if let Some(step) = told.and_then(|text| text.parse().ok()) {
        creel_runtime::fail_at(step);
    }
}

/// Runs the program with these arguments, the program's own name first.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv = names::spell_out(argv.into_iter().collect());
    if names::is_oci(&argv) {
        return run_as_runtime(&argv);
    }
    let matches = parse(&argv, commands::narrowed(&argv), command, names::lengthen_options);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(refused) => return Failure::usage(&refused, commands::usage_code(&argv)),
    };
    match cli.run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Runs the program under the name of an OCI runtime, whose commands are its own then.
fn run_as_runtime(argv: &[OsString]) -> ExitCode {
    let (narrow, whole) = (commands::narrowed_runtime(argv), commands::Runtime::command);
    let matches = parse(argv, narrow, whole, names::lengthen_options_of_runtime);
    match matches.and_then(|matches| commands::Runtime::from_arg_matches(&matches)) {
        Ok(runtime) => runtime.run(),
        Err(refused) => Failure::usage(&refused, commands::RUNTIME_FAILED),
    }
}

/// Help and errors are the whole definition's.
fn parse(
    argv: &[OsString],
    narrow: Option<clap::Command>,
    whole: fn() -> clap::Command,
    lengthen: fn(Vec<OsString>, &clap::Command) -> Vec<OsString>,
) -> Result<clap::ArgMatches, clap::Error> {
    let parse = |command: clap::Command| {
        let argv = lengthen(argv.to_vec(), &command);
        command.try_get_matches_from(argv)
    };
    match narrow.map(parse) {
        Some(Ok(matches)) => Ok(matches),
        _ => parse(whole()),
    }
}

/// Returns the one definition that parsing, help, completions and man pages come from.
pub fn command() -> clap::Command {
    Cli::command()
}
