//! `creel tag`

use std::process::ExitCode;

use creel_manager::images::new_name;

use crate::failure::Failure;
use crate::settings::Globals;

/// Give an image further names
///
/// A name without a registry is one at `localhost`. An image that had the name loses it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel tag debian:13 base\n  \
                        creel tag 4c2f1d9a77b0 registry.example/team/app:1.2")]
pub(crate) struct Args {
    /// Name or id of the image
    image: String,
    /// Names to give it
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let image = engine.image(&args.image)?;
    let names = args.names.iter().map(|name| new_name(name)).collect::<Result<Vec<_>, _>>()?;
    for name in &names {
        engine.tag(&image, name)?;
    }
    Ok(ExitCode::SUCCESS)
}
