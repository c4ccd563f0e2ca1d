//! `creel images`

use std::process::ExitCode;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// List the images in the store
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let names = globals.engine()?.store().references()?;
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
    match args.format {
        Format::Json => output::json(&names)?,
        Format::Table => output::text(&names.iter().map(|n| format!("{n}\n")).collect::<String>())?,
    }
    Ok(ExitCode::SUCCESS)
}
