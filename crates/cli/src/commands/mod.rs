//! The command tree.

mod completion;
mod doctor;
mod history;
mod images;
mod import;
mod inspect;
mod rmi;
mod tag;

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
    History(history::Args),
    Images(images::Args),
    Import(import::Args),
    Inspect(inspect::Args),
    Rmi(rmi::Args),
    Tag(tag::Args),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Completion(args) => completion::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::History(args) => history::run(&args, &self.globals),
            Command::Images(args) => images::run(&args, &self.globals),
            Command::Import(args) => import::run(&args, &self.globals),
            Command::Inspect(args) => inspect::run(&args, &self.globals),
            Command::Rmi(args) => rmi::run(&args, &self.globals),
            Command::Tag(args) => tag::run(&args, &self.globals),
        }
    }
}
