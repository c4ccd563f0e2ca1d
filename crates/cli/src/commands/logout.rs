//! `creel logout`

use std::path::PathBuf;
use std::process::ExitCode;

use creel_manager::login::logout;

use crate::failure::Failure;
use crate::settings::Globals;

/// Forget the user and password for a registry
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File they are kept in [default: `$REGISTRY_AUTH_FILE`, else those of Podman and Docker]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// The registry: a host, or a host and a port
    #[arg(default_value = "docker.io")]
    registry: String,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let files = match &args.authfile {
        Some(file) => vec![file.clone()],
        None => globals.settings()?.auth_files,
    };
    let mut found = false;
    for file in files {
        found |= logout(&args.registry, &file)?;
    }
    match found {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Failure::new(&format!("not logged in to `{}`", args.registry))),
    }
}
