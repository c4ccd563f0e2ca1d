//! `creel rmi`

use std::process::ExitCode;

use creel_manager::Engine;
use creel_manager::images::{ImageError, Removal};
use creel_manager::upkeep::Pins;

use crate::commands::images::shown;
use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;

/// Remove images, or names of images
///
/// Takes the same time whatever the image's size: what no image needs any more stays on the disk
/// until `creel prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel rmi debian:13\n  creel rmi --force 4c2f1d9a77b0")]
pub(crate) struct Args {
    /// Remove all names of an id, and images that containers use
    #[arg(short, long)]
    force: bool,
    /// Say nothing about images that are not there
    #[arg(short, long)]
    ignore: bool,
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let pins = engine.pins()?;
    let mut code = ExitCode::SUCCESS;
    for image in &args.images {
        match remove(&engine, image, args, &pins) {
            Ok(done) => output::text(&done)?,
            Err(ImageError::NotFound { .. }) if args.ignore => {}
            // The others are removed all the same.
            Err(error) => code = Failure::from(error).report(),
        }
    }
    Ok(code)
}

fn remove(engine: &Engine, image: &str, args: &Args, pins: &Pins) -> Result<String, ImageError> {
    let how = if args.force { Removal::Forced } else { Removal::Careful };
    let removed = engine.remove(image, how, &|manifest| pins.users(manifest))?;
    if let Some(manifest) = removed.manifest {
        engine.let_go(&manifest, pins);
    }
    let mut lines: String =
        removed.names.iter().map(|name| format!("untagged: {}\n", shown(name))).collect();
    if let Some(id) = removed.image {
        lines.push_str(&format!("removed: {id}\n"));
    }
    Ok(lines)
}
