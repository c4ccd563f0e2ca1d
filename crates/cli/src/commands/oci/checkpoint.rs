//! `creel oci checkpoint`

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use creel_runtime::lifecycle::{After, Checkpoint, Runtime};

use super::Id;
use super::criu::{CriuOptions, chosen};
use crate::failure::Failure;

/// Write a running container to files and delete it, by CRIU
///
/// A container with a terminal cannot be checkpointed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    criu: CriuOptions,
    /// Let the container go on
    #[arg(long)]
    leave_running: bool,
    /// Let it go on, and write only memory, for a later checkpoint with `--parent-path`
    #[arg(long)]
    pre_dump: bool,
    /// Leave out TCP connections that are being made
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Descriptor that is written to once memory can be asked for
    #[arg(long, value_name = "N")]
    status_fd: Option<u32>,
    /// Host and port that memory is sent to
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    page_server: Option<(String, u16)>,
    #[command(flatten)]
    id: Id,
}

pub(crate) fn run(
    args: &Args,
    runtime: &Runtime,
    program: Option<&PathBuf>,
) -> Result<ExitCode, Failure> {
    let mut options = chosen(&[
        ("skip-in-flight", args.tcp_skip_in_flight),
        ("page-server", args.page_server.is_some()),
    ]);
    let number = |number: &dyn ToString| Some(OsString::from(number.to_string()));
    options.extend(args.status_fd.as_ref().map(|fd| ("status-fd", number(fd))));
    if let Some((host, port)) = &args.page_server {
        options.extend([("address", Some(host.into())), ("port", number(port))]);
    }
    let after = match (args.pre_dump, args.leave_running) {
        (true, _) => After::RunsTracked,
        (false, true) => After::Runs,
        (false, false) => After::Deleted,
    };
    let criu = args.criu.criu(program, options);
    runtime.checkpoint(&args.id.parse()?, &Checkpoint { criu, after })?;
    Ok(ExitCode::SUCCESS)
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let parts = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parts.ok_or_else(|| "not a host and a port such as `10.0.0.1:27`".into())
}
