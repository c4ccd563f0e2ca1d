//! `creel oci`: the runtime of the OCI specification, as other container tools call it.

mod checkpoint;
mod create;
mod criu;
mod delete;
mod events;
mod exec;
mod features;
mod groups;
mod handed;
mod journal;
mod kill;
mod list;
mod pause;
mod ps;
mod restore;
mod resume;
mod run;
mod service;
mod spec;
mod start;
mod state;
mod update;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as _;
use creel_base::path::Dir;
use creel_runtime::lifecycle::{ContainerId, Runtime};

use super::narrow::{self, Definition};
use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;
use journal::{Journal, LogFormat};

/// What this program itself failing ends with, as in runc.
pub(crate) const FAILED: u8 = 1;

/// Run containers by the OCI runtime specification, for other tools
///
/// A bundle is a directory with a `config.json` and, mostly, the root directory of a container. This
/// is what runc and crun do, with their command lines.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The options before a command.
#[derive(Debug, clap::Args)]
struct Options {
    /// Directory of the containers' states [default: `oci` in the directory of mounts and sockets]
    #[arg(long, value_name = "PATH")]
    root: Option<PathBuf>,
    /// Write what fails to a file too, at its end
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How to write it there
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
    #[command(flatten)]
    groups: groups::GroupOptions,
    /// Program by which containers are checkpointed and restored [default: `criu`]
    #[arg(long, value_name = "PATH")]
    criu: Option<PathBuf>,
    /// Taken for callers of other runtimes
    #[arg(long, hide = true)]
    debug: bool,
    /// Print the versions of the program and of the specification
    #[arg(short, long)]
    version: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Checkpoint(Box<checkpoint::Args>),
    Create(create::Args),
    Delete(delete::Args),
    Events(events::Args),
    Exec(Box<exec::Args>),
    Features(features::Args),
    Kill(kill::Args),
    List(list::Args),
    Pause(pause::Args),
    Ps(ps::Args),
    Restore(Box<restore::Args>),
    Resume(resume::Args),
    Run(run::Args),
    Spec(spec::Args),
    Start(start::Args),
    State(state::Args),
    Update(Box<update::Args>),
}

/// What defines each of the commands.
const DEFINITIONS: &[Definition] = &[
    ("checkpoint", checkpoint::Args::augment_args),
    ("create", create::Args::augment_args),
    ("delete", delete::Args::augment_args),
    ("events", events::Args::augment_args),
    ("exec", exec::Args::augment_args),
    ("features", features::Args::augment_args),
    ("kill", kill::Args::augment_args),
    ("list", list::Args::augment_args),
    ("pause", pause::Args::augment_args),
    ("ps", ps::Args::augment_args),
    ("restore", restore::Args::augment_args),
    ("resume", resume::Args::augment_args),
    ("run", run::Args::augment_args),
    ("spec", spec::Args::augment_args),
    ("start", start::Args::augment_args),
    ("state", state::Args::augment_args),
    ("update", update::Args::augment_args),
];

/// The part of the definition that these words can mean, if they name a command.
pub(super) fn narrowed(argv: &[OsString]) -> Option<clap::Command> {
    let oci = clap::Command::new("oci");
    narrow::with_named(oci, DEFINITIONS, argv).map(Options::augment_args)
}

pub(crate) fn run(args: &Args, globals: &Globals) -> ExitCode {
    let done = match &args.command {
        Some(command) if !args.options.version => command.run(&args.options, globals),
        _ => output::text(&version()).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|failure| {
        let failure = failure.with_code(match args.command {
            Some(Command::Exec(_)) => exec::FAILED,
            _ => FAILED,
        });
        let journal =
            Journal { file: args.options.log.as_deref(), format: args.options.log_format };
        if let Err(unwritten) = journal.error(&failure) {
            unwritten.warn();
        }
        failure.for_callers().report()
    })
}

/// The lines that callers of runc read.
fn version() -> String {
    format!(
        "creel-oci version {}\nspec: {}\n",
        env!("CARGO_PKG_VERSION"),
        creel_runtime::spec::VERSION
    )
}

impl Command {
    fn run(&self, oci: &Options, globals: &Globals) -> Result<ExitCode, Failure> {
        let runtime = || oci.runtime(globals);
        match self {
            Self::Checkpoint(args) => checkpoint::run(args, &runtime()?, oci.criu.as_ref()),
            Self::Create(args) => create::run(args, &runtime()?, &oci.groups),
            Self::Delete(args) => delete::run(args, &runtime()?),
            Self::Events(args) => events::run(args, &runtime()?),
            Self::Exec(args) => exec::run(args, &runtime()?),
            Self::Features(args) => features::run(args),
            Self::Kill(args) => kill::run(args, &runtime()?),
            Self::List(args) => {
                oci.check_root()?;
                list::run(args, &runtime()?)
            }
            Self::Pause(args) => pause::run(args, &runtime()?),
            Self::Ps(args) => ps::run(args, &runtime()?),
            Self::Restore(args) => restore::run(args, &runtime()?, oci.criu.as_ref(), &oci.groups),
            Self::Resume(args) => resume::run(args, &runtime()?),
            Self::Run(args) => run::run(args, &runtime()?, &oci.groups),
            Self::Spec(args) => spec::run(args),
            Self::Start(args) => start::run(args, &runtime()?),
            Self::State(args) => state::run(args, &runtime()?),
            Self::Update(args) => update::run(args, &runtime()?),
        }
    }
}

impl Options {
    /// A directory that was named and is not there has no list: its name may be a wrong one.
    fn check_root(&self) -> Result<(), Failure> {
        match &self.root {
            Some(root) => Ok(Dir::open(root).map(drop)?),
            None => Ok(()),
        }
    }

    fn runtime(&self, globals: &Globals) -> Result<Runtime, Failure> {
        let root = self.root.clone().unwrap_or_else(|| globals.runtime_root());
        Ok(Runtime::open(&root)?)
    }
}

/// The container that a command is about.
#[derive(Debug, clap::Args)]
struct Id {
    /// The container
    #[arg(value_name = "ID")]
    id: String,
}

impl Id {
    fn parse(&self) -> Result<ContainerId, Failure> {
        Ok(ContainerId::parse(&self.id)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_definition_has_commands_as_the_whole_one_has_them() {
        let whole = Args::augment_args(clap::Command::new("oci"));
        narrow::assert_same(&whole, DEFINITIONS);
    }
}
