//! The command tree.

mod commit;
mod completion;
mod df;
mod diff;
mod doctor;
mod exec;
mod fsck;
mod history;
mod images;
mod import;
mod init;
mod inspect;
mod login;
mod logout;
mod oci;
mod prune;
mod ps;
pub(crate) mod pull;
mod push;
mod rm;
mod rmi;
mod run;
mod start;
mod tag;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{self, Failure};
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
    Commit(commit::Args),
    Completion(completion::Args),
    Df(df::Args),
    Diff(diff::Args),
    Doctor(doctor::Args),
    Exec(exec::Args),
    Fsck(fsck::Args),
    History(history::Args),
    Images(images::Args),
    Import(import::Args),
    Init(init::Args),
    Inspect(inspect::Args),
    Login(login::Args),
    Logout(logout::Args),
    Oci(Box<oci::Args>),
    Prune(prune::Args),
    Ps(ps::Args),
    Pull(pull::Args),
    Push(push::Args),
    Rm(rm::Args),
    Rmi(rmi::Args),
    Run(Box<run::Args>),
    Start(start::Args),
    Tag(tag::Args),
    Tree(tree::Args),
}

/// What a command line that cannot be understood ends with.
pub(crate) fn usage_code(argv: &[OsString]) -> u8 {
    let stands_in = argv.get(1).is_some_and(|word| word == "oci");
    if stands_in { oci::FAILED } else { failure::FAILED }
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Commit(args) => commit::run(&args, &self.globals),
            Command::Completion(args) => completion::run(&args),
            Command::Df(args) => df::run(&args, &self.globals),
            Command::Diff(args) => diff::run(&args, &self.globals),
            Command::Doctor(args) => doctor::run(&args, &self.globals),
            Command::Exec(args) => exec::run(&args, &self.globals),
            Command::Fsck(args) => fsck::run(&args, &self.globals),
            Command::History(args) => history::run(&args, &self.globals),
            Command::Images(args) => images::run(&args, &self.globals),
            Command::Import(args) => import::run(&args, &self.globals),
            Command::Init(args) => init::run(&args),
            Command::Inspect(args) => inspect::run(&args, &self.globals),
            Command::Login(args) => login::run(&args, &self.globals),
            Command::Logout(args) => logout::run(&args, &self.globals),
            Command::Oci(args) => Ok(oci::run(&args, &self.globals)),
            Command::Prune(args) => prune::run(&args, &self.globals),
            Command::Pull(args) => pull::run(&args, &self.globals),
            Command::Ps(args) => ps::run(&args, &self.globals),
            Command::Rm(args) => rm::run(&args, &self.globals),
            Command::Push(args) => push::run(&args, &self.globals),
            Command::Rmi(args) => rmi::run(&args, &self.globals),
            Command::Run(args) => run::run(&args, &self.globals),
            Command::Start(args) => start::run(&args, &self.globals),
            Command::Tag(args) => tag::run(&args, &self.globals),
            Command::Tree(args) => tree::run(&args, &self.globals),
        }
    }
}
