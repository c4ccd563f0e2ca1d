//! `creel run`

use std::process::ExitCode;

use creel_manager::containers::options::PullPolicy;

use crate::container_options::{ContainerArgs, ImageArgs};
use crate::failure::Failure;
use crate::foreground;
use crate::host;
use crate::protection;
use crate::settings::Globals;

/// What is in nobody's way, but stays.
const REMAINS: &str = "what a killed run has left cannot be put away";

/// Run a command in a new container
///
/// Pulls the image where the store lacks it. Exits with the code of the command, 128 plus the number of
/// the signal that ended it, 127 when the command was not found, 126 when it could not be executed,
/// and 125 when creel failed. `host:` as the image is the running system itself: changes to it go
/// to the container and not to the system.
///
/// Examples:
///   creel run --rm -it debian bash
///   creel run --rm -v ./src:/src:ro -w /src rust cargo test
///   creel run host: make install     (and `creel diff` shows what it did)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    container: ContainerArgs,
    #[command(flatten)]
    image_options: ImageArgs,
    /// Print what would be done, step by step, and do nothing
    #[arg(long)]
    explain: bool,
    /// Image to run: a name, an id, a path such as `oci:DIR`, or `host:`
    image: String,
    /// Command to run, with its arguments [default: the image's own]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    protection::ensure()?;
    let mut options = args.container.options(&args.command)?;
    if args.image == host::NAME {
        host::as_here(&mut options.process)?;
    }
    let choice = args.image_options.choice();
    let engine = match choice.pull {
        PullPolicy::Never => globals.engine()?,
        _ => globals.open_or_make(globals.settings()?)?,
    };
    let image = foreground::image(&engine, &args.image, &choice)?;
    let prepared = engine.prepare_container(&image, &options).map_err(Failure::run)?;
    for reason in prepared.remains() {
        Failure::note(REMAINS, reason);
    }
    host::explain(prepared.record());
    if args.explain {
        crate::output::text(&prepared.explain()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    foreground::run(prepared.with_own_file(protection::mount()))
}
