//! `creel oci restore`

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use creel_runtime::lifecycle::{Deletion, Restore, Runtime};

use super::Id;
use super::create::Bundle;
use super::criu::{CriuOptions, chosen};
use super::groups::GroupOptions;
use crate::attach;
use crate::failure::Failure;
use crate::foreground::{self, Plain};

/// Make a container of a checkpoint, which goes on where it was, by CRIU
///
/// Ends with the exit code of the program, or 128 plus the signal that ended it. Hooks are not run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    criu: CriuOptions,
    /// Return once the container runs; `creel oci delete` deletes it
    #[arg(short, long)]
    detach: bool,
    /// Close TCP connections that were open
    #[arg(long)]
    tcp_close: bool,
    /// Profile of AppArmor or label of SELinux, as `apparmor:NAME` or `selinux:LABEL`
    #[arg(long, value_name = "PROFILE")]
    lsm_profile: Option<OsString>,
    /// Label of SELinux that mounts get
    #[arg(long, value_name = "LABEL")]
    lsm_mount_context: Option<OsString>,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    bundle: Bundle,
}

pub(crate) fn run(
    args: &Args,
    runtime: &Runtime,
    program: Option<&PathBuf>,
    groups: &GroupOptions,
) -> Result<ExitCode, Failure> {
    let (id, create) = (args.id.parse()?, args.bundle.create(groups)?);
    let signals = attach::gather_signals().map_err(|error| Failure::terminal(&error))?;
    let mut options = chosen(&[("tcp-close", args.tcp_close)]);
    let labels =
        [("lsm-profile", &args.lsm_profile), ("lsm-mount-context", &args.lsm_mount_context)];
    options.extend(labels.into_iter().filter_map(|(name, text)| Some((name, Some(text.clone()?)))));
    let restore = Restore { criu: args.criu.criu(program, options) };
    let running = runtime.restore(&id, &create, &restore)?;
    args.bundle.tell_of(running.pid(), &id, runtime)?;
    if args.detach {
        return Ok(ExitCode::SUCCESS);
    }
    let code = foreground::run_plain(Plain::First(running), &signals);
    for error in runtime.delete(&id, Deletion::Forced)? {
        Failure::from(error).warn();
    }
    code
}
