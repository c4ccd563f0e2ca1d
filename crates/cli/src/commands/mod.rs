//! The command tree.

mod completion;
mod df;
mod doctor;
mod fsck;
mod history;
mod images;
mod import;
mod inspect;
mod prune;
mod pull;
mod rmi;
mod tag;
mod tree;

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
    Df(df::Args),
    Doctor(doctor::Args),
    Fsck(fsck::Args),
    History(history::Args),
    Images(images::Args),
    Import(import::Args),
    Inspect(inspect::Args),
    Prune(prune::Args),
    Pull(pull::Args),
    Rmi(rmi::Args),
    Tag(tag::Args),
    Tree(tree::Args),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Completion(args) => completion::run(&args),
            Command::Df(args) => df::run(&args, &self.globals),
            Command::Doctor(args) => doctor::run(&args),
            Command::Fsck(args) => fsck::run(&args, &self.globals),
            Command::History(args) => history::run(&args, &self.globals),
            Command::Images(args) => images::run(&args, &self.globals),
            Command::Import(args) => import::run(&args, &self.globals),
            Command::Inspect(args) => inspect::run(&args, &self.globals),
            Command::Prune(args) => prune::run(&args, &self.globals),
            Command::Pull(args) => pull::run(&args, &self.globals),
            Command::Rmi(args) => rmi::run(&args, &self.globals),
            Command::Tag(args) => tag::run(&args, &self.globals),
            Command::Tree(args) => tree::run(&args, &self.globals),
        }
    }
}
