//! `creel oci spec`

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use creel_base::path::{Action, PathError};
use creel_runtime::defaults;

use crate::failure::Failure;

/// Write a `config.json` to begin with
///
/// It runs `sh` in a terminal, in the directory `rootfs` of the bundle.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the bundle
    #[arg(short, long, default_value = ".", value_name = "PATH")]
    bundle: PathBuf,
    /// Make it fit for a container that a user has without root's rights
    #[arg(long)]
    rootless: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let path = args.bundle.join("config.json");
    let mut spec = defaults::bundle();
    if args.rootless {
        let ids = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
        defaults::make_rootless(&mut spec, ids);
    }
    let text =
        serde_json::to_string_pretty(&spec).map_err(|error| Failure::output(&error.into()))?;
    let written = File::create_new(&path).and_then(|mut file| writeln!(file, "{text}"));
    written.map_err(|error| PathError::new(Action::Create, &path, error))?;
    Ok(ExitCode::SUCCESS)
}
