//! `creel pull`

use std::process::ExitCode;

use creel_base::platform::Platform;
use creel_base::transport::Source;
use creel_manager::Engine;
use creel_manager::images::Image;
use creel_manager::pull::{Pull, PullError};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::progress::Show;
use crate::registry::Access;
use crate::settings::Globals;

/// Bring images into the store
///
/// From a registry, or from oci:PATH[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME]
/// (`-` is standard input) or dir:PATH. A download that was stopped goes on where it was. Prints the
/// images' ids.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel pull debian:13\n  \
                        creel pull --platform linux/arm64 quay.io/fedora/fedora\n  \
                        creel pull --tls-verify=false localhost:5000/app@sha256:…\n  \
                        docker save app | creel pull docker-archive:-")]
pub(crate) struct Args {
    /// The platform to choose an image for [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    #[command(flatten)]
    access: Access,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How to print the images
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Images to bring
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// An image as programs see it.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    digest: String,
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let sources =
        args.images.iter().map(|text| text.parse()).collect::<Result<Vec<Source>, _>>()?;
    let mut settings = globals.settings()?;
    args.access.apply(&mut settings);
    let engine = globals.open_or_make(settings)?;
    let options = Pull {
        platform: args.platform.clone(),
        verify_tls: args.access.verify_tls(),
        credentials: args.access.credentials()?,
    };
    let mut images = Vec::new();
    for source in &sources {
        images.push(pull(&engine, source, &options, args.quiet)?);
    }
    match args.format {
        Format::Json => output::json(&images.iter().map(row).collect::<Vec<_>>())?,
        Format::Table => {
            output::text(&images.iter().map(|i| format!("{}\n", i.id)).collect::<String>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Pulls one image and shows how it goes.
pub(crate) fn pull(
    engine: &Engine,
    source: &Source,
    options: &Pull,
    quiet: bool,
) -> Result<Image, PullError> {
    let show = Show::new(quiet, "pulled");
    show.say(&format!("pulling {source}"));
    engine.pull(source, options, &show)
}

fn row(image: &Image) -> Row {
    Row {
        id: image.id.to_string(),
        digest: image.digest.to_string(),
        names: image.names.iter().map(ToString::to_string).collect(),
    }
}
