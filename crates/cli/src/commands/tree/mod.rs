//! `creel tree`

mod cat;
mod checkout;
mod diff;
mod ls;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::settings::Globals;

/// Look into file system trees: of images, of their layers, of anything in the store
///
/// A tree is named by an image (`debian:13`), by one of its layers counted from 1 at the bottom
/// (`debian:13#1`), or by its id or the beginning of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Ls(ls::Args),
    Cat(cat::Args),
    Diff(diff::Args),
    Checkout(checkout::Args),
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Ls(args) => ls::run(args, globals),
        Command::Cat(args) => cat::run(args, globals),
        Command::Diff(args) => diff::run(args, globals),
        Command::Checkout(args) => checkout::run(args, globals),
    }
}
