//! `creel oci create`

use std::path::PathBuf;
use std::process::ExitCode;

use creel_runtime::lifecycle::{self, Console, ContainerId, Create, Deletion, RootChange, Runtime};

use super::handed::Handed;
use super::service;
use super::{Id, groups};
use crate::failure::Failure;
use crate::output;
use crate::protection;

/// Make a container ready from a bundle, up to the execution of its program
///
/// It is started by `creel oci start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    pub(super) bundle: Bundle,
}

/// Where a container comes from, and what is made known of it.
#[derive(Debug, clap::Args)]
pub(super) struct Bundle {
    /// Directory of the bundle
    #[arg(short, long, default_value = ".", value_name = "PATH")]
    bundle: PathBuf,
    /// Specification in place of the bundle's `config.json`
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listening socket that the terminal is sent to
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// Move the root over the old one, where that cannot be left: an initial root in memory
    #[arg(long)]
    no_pivot: bool,
    /// Leave the program in the session keyring of the caller
    #[arg(long)]
    no_new_keyring: bool,
    /// Taken for callers of other runtimes: there is no subreaper
    #[arg(long, hide = true)]
    no_subreaper: bool,
    /// File that the process id is written to
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    #[command(flatten)]
    handed: Handed,
}

impl Bundle {
    pub(super) fn create(&self, groups: &groups::GroupOptions) -> Result<Create, Failure> {
        let bundle = lifecycle::Bundle::open(&self.bundle, self.config.as_deref())?;
        let handed = self.handed.descriptors()?;
        Ok(groups.add_to(Create {
            notifies: service::manager().is_some(),
            preserved: handed.all,
            environment: handed.variables,
            pidfd_socket: self.handed.pidfd_socket.clone(),
            shares_keyring: self.no_new_keyring,
            warn: Some(Failure::remark),
            console: self.console_socket.clone().map_or(Console::None, Console::Socket),
            root_change: if self.no_pivot { RootChange::Move } else { RootChange::Pivot },
            ..Create::from(bundle)
        }))
    }

    /// Writes the process id where that was asked for; what nobody is told of does not stay.
    pub(super) fn tell_of(
        &self,
        pid: i32,
        id: &ContainerId,
        runtime: &Runtime,
    ) -> Result<(), Failure> {
        let told = self.pid_file.as_deref().map_or(Ok(()), |file| output::pid_file(file, pid));
        if told.is_err() {
            // The first error says more.
            let _ = runtime.delete(id, Deletion::Forced);
        }
        told
    }
}

pub(crate) fn run(
    args: &Args,
    runtime: &Runtime,
    groups: &groups::GroupOptions,
) -> Result<ExitCode, Failure> {
    let (id, create) = (args.id.parse()?, args.bundle.create(groups)?);
    protection::ensure_for(&create.bundle)?;
    let running = runtime.create(&id, &create)?;
    args.bundle.tell_of(running.pid(), &id, runtime)?;
    Ok(ExitCode::SUCCESS)
}
