//! The command tree.

mod completion;
mod doctor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Containers without a daemon: images, containers and their building blocks in one binary
#[derive(Debug, Parser)]
#[command(name = "creel", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Completion(completion::Args),
    Doctor(doctor::Args),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Completion(args) => completion::run(&args),
            Command::Doctor(args) => doctor::run(&args),
        }
    }
}
