//! The repository's own tasks, run through `./x`: build, test, demo, bench, peers.
#![forbid(unsafe_code)]
// A task runner talks to the developer at the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arrows;
mod bench;
mod build;
mod clean;
mod debian;
mod demo;
mod guest;
mod install;
mod interrupt;
mod peers;
mod run;
mod test;
mod tools;
mod user;
mod yardstick;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and measures creel
#[derive(Parser)]
#[command(name = "./x", disable_help_subcommand = false)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install the Debian packages and cargo tools that the other tasks need
    Tools,
    /// Measure creel beside its peers (as root)
    Bench(bench::Args),
    /// Build `creel` and `creel-init` as released, and check their sizes
    Build,
    /// Pull, run and measure a real image on this machine, from nothing
    Demo,
    /// Run a script in a throw-away machine with control groups of version 2
    Guest(guest::Args),
    /// Make a real image as an OCI layout
    Image(debian::Args),
    /// Install the programs, man pages and completions
    Install(install::Args),
    /// Run a command in a root directory with the newest peers from Debian sid
    Peers(peers::Args),
    /// Run the tests (as root: all of them)
    Test(test::Args),
    /// Run a peer's own test suite against creel and record the result
    Yardstick(yardstick::Args),
}

fn main() -> ExitCode {
    match run_task() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("x: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_task() -> anyhow::Result<()> {
    interrupt::watch()?;
    match Args::parse().task {
        Task::Tools => tools::install_all(),
        Task::Bench(args) => bench::run_all(&args),
        Task::Build => build::release().map(drop),
        Task::Demo => demo::run(),
        Task::Guest(args) => guest::run(&args),
        Task::Image(args) => debian::make(&args),
        Task::Install(args) => install::install(&args),
        Task::Peers(args) => peers::enter(&args),
        Task::Test(args) => test::tiers(&args),
        Task::Yardstick(args) => yardstick::run(&args),
    }
}
