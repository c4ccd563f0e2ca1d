//! `creel oci run`

use std::process::ExitCode;

use creel_runtime::lifecycle::{Console, ContainerId, Create, Deletion, Runtime};

use super::create::Bundle;
use super::service;
use super::{Id, groups};
use crate::attach;
use crate::failure::Failure;
use crate::foreground::{self, Plain};
use crate::protection;

/// Make a container from a bundle, run its program, and delete it afterwards
///
/// Ends with the exit code of the program, or 128 plus the signal that ended it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Return once the program is executed; `creel oci delete` deletes the container
    #[arg(short, long)]
    detach: bool,
    /// Leave the container when it has ended
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    bundle: Bundle,
}

pub(crate) fn run(
    args: &Args,
    runtime: &Runtime,
    groups: &groups::GroupOptions,
) -> Result<ExitCode, Failure> {
    let (id, create) = (args.id.parse()?, args.bundle.create(groups)?);
    protection::ensure_for(&create.bundle)?;
    if args.detach {
        let (running, service) = service::run(runtime, &id, &create)?;
        args.bundle.tell_of(running.pid(), &id, runtime)?;
        service.map_or(Ok(()), |service| service.hand_over())?;
        return Ok(ExitCode::SUCCESS);
    }
    let code = attended(args, runtime, &id, create);
    // One that was not made is not there.
    if !args.keep && code.is_ok() {
        for error in runtime.delete(&id, Deletion::Forced)? {
            Failure::from(error).warn();
        }
    }
    code
}

fn attended(
    args: &Args,
    runtime: &Runtime,
    id: &ContainerId,
    create: Create,
) -> Result<ExitCode, Failure> {
    let signals = attach::gather_signals().map_err(|error| Failure::terminal(&error))?;
    let console = match create.console {
        Console::None if create.bundle.wants_terminal() => Console::Caller,
        console => console,
    };
    let (running, service) = service::run(runtime, id, &Create { console, ..create })?;
    args.bundle.tell_of(running.pid(), id, runtime)?;
    if let Some(service) = service {
        service.keep();
    }
    foreground::run_plain(Plain::First(running), &signals)
}
