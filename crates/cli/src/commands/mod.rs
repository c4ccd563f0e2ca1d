//! The command tree.

mod completion;
mod doctor;
mod images;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::settings::Globals;

/// Containers without a daemon: images, containers and their building blocks in one binary
#[derive(Debug, Parser)]
#[command(name = "creel", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Completion(completion::Args),
    Doctor(doctor::Args),
    Images(images::Args),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Completion(args) => completion::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Images(args) => images::run(&args, &self.globals),
        }
    }
}
