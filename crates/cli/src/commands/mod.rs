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
mod jail;
mod login;
mod logout;
mod narrow;
mod oci;
mod prune;
mod ps;
pub(crate) mod pull;
mod push;
mod rm;
mod rmi;
mod run;
pub(crate) mod sandbox;
mod start;
mod tag;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args as _, Parser, Subcommand};

use crate::failure::{self, Failure};
use crate::settings::Globals;
use narrow::Definition;

/// Containers without a daemon: images, containers and their building blocks in one binary
#[derive(Debug, Parser)]
#[command(name = "creel", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What ends a runtime whose command line cannot be understood.
pub(crate) const RUNTIME_FAILED: u8 = oci::FAILED;

/// Run containers by the OCI runtime specification, for other tools
#[derive(Debug, Parser)]
#[command(name = "creel-oci", arg_required_else_help = true)]
pub(crate) struct Runtime {
    #[command(flatten)]
    globals: Globals,
    #[command(flatten)]
    oci: oci::Args,
}

impl Runtime {
    pub(crate) fn run(&self) -> ExitCode {
        oci::run(&self.oci, &self.globals)
    }
}

/// The part of the definition of a runtime that these words can mean, if they name a command.
pub(crate) fn narrowed_runtime(argv: &[OsString]) -> Option<clap::Command> {
    oci::narrowed(argv).map(Globals::augment_args)
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
    Jail(jail::Args),
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
    Sandbox(sandbox::Args),
    Start(start::Args),
    Tag(tag::Args),
    Tree(tree::Args),
}

/// What defines each of the commands.
const DEFINITIONS: [Definition; 27] = [
    ("commit", commit::Args::augment_args),
    ("completion", completion::Args::augment_args),
    ("df", df::Args::augment_args),
    ("diff", diff::Args::augment_args),
    ("doctor", doctor::Args::augment_args),
    ("exec", exec::Args::augment_args),
    ("fsck", fsck::Args::augment_args),
    ("history", history::Args::augment_args),
    ("images", images::Args::augment_args),
    ("import", import::Args::augment_args),
    ("init", init::Args::augment_args),
    ("inspect", inspect::Args::augment_args),
    ("jail", jail::Args::augment_args),
    ("login", login::Args::augment_args),
    ("logout", logout::Args::augment_args),
    ("oci", oci::Args::augment_args),
    ("prune", prune::Args::augment_args),
    ("ps", ps::Args::augment_args),
    ("pull", pull::Args::augment_args),
    ("push", push::Args::augment_args),
    ("rm", rm::Args::augment_args),
    ("rmi", rmi::Args::augment_args),
    ("run", run::Args::augment_args),
    ("sandbox", sandbox::Args::augment_args),
    ("start", start::Args::augment_args),
    ("tag", tag::Args::augment_args),
    ("tree", tree::Args::augment_args),
];

/// The part of the definition that these words can mean, if they name a command.
pub(crate) fn narrowed(argv: &[OsString]) -> Option<clap::Command> {
    let whole = clap::Command::new("creel");
    match argv.get(1) {
        Some(word) if word == "oci" => Some(whole.subcommand(oci::narrowed(argv)?)),
        _ => narrow::with_named(whole, &DEFINITIONS, argv),
    }
    .map(Globals::augment_args)
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
            Command::Jail(args) => jail::run(&args),
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
            Command::Sandbox(args) => sandbox::run(&args),
            Command::Start(args) => start::run(&args, &self.globals),
            Command::Tag(args) => tag::run(&args, &self.globals),
            Command::Tree(args) => tree::run(&args, &self.globals),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_narrow_definition_has_commands_as_the_whole_one_has_them() {
        narrow::assert_same(&Cli::command(), &DEFINITIONS);
    }

    #[test]
    fn usage_has_the_name_that_the_program_was_called_by() {
        for (line, usage) in [
            ("runc create --nonsense", "Usage: runc create "),
            ("/usr/bin/crun exec", "Usage: crun exec "),
            ("crun nonsense", "Usage: crun "),
        ] {
            let refused = Runtime::command().try_get_matches_from(line.split(' ')).unwrap_err();
            let said = refused.render().to_string();
            assert!(said.contains(usage), "{said}");
        }
        let line = "creel oci create --nonsense".split(' ');
        let said = Cli::command().try_get_matches_from(line).unwrap_err().render().to_string();
        assert!(said.contains("Usage: creel oci create "), "{said}");
    }

    #[test]
    fn only_what_is_named_is_defined() {
        for (line, names) in [
            ("creel --store /x run image ps", &["ps", "run"][..]),
            ("creel oci --root state list", &["oci"]),
        ] {
            let argv: Vec<_> = line.split(' ').map(OsString::from).collect();
            let narrow = narrowed(&argv).unwrap();
            let defined: Vec<_> = narrow.get_subcommands().map(clap::Command::get_name).collect();
            assert_eq!(defined, names);
        }
        assert!(narrowed(&["creel".into(), "--version".into()]).is_none());
    }
}
