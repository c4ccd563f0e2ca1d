//! `creel push`

use std::process::ExitCode;

use clap::ValueEnum;
use creel_base::transport::Source;
use creel_manager::push::{self, Push};

use crate::failure::Failure;
use crate::output;
use crate::progress::Show;
use crate::registry::Access;
use crate::settings::Globals;

/// Send an image to a registry, or write it to a layout or an archive
///
/// A layer that the registry has already, in any compressed form that is known, is not sent again.
/// Prints the digest of the manifest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel push registry.example/team/app:1.2\n  \
                        creel push app registry.example/team/app:1.2\n  \
                        creel push app oci-archive:app.tar:1.2\n  \
                        creel push --compression zstd app oci:layout:1.2")]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    /// How to compress layers that have to be sent [default: as they were]
    #[arg(long, value_enum)]
    compression: Option<Compression>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Name or id of the image
    image: String,
    /// Where to: a name, oci:PATH[:NAME] or oci-archive:FILE[:NAME] [default: the image's name]
    destination: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compression {
    /// Read by everything
    Gzip,
    /// Smaller and faster
    Zstd,
    /// Not at all
    None,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let to = args.destination.as_deref().map(str::parse::<Source>).transpose()?;
    let mut settings = globals.settings()?;
    args.access.apply(&mut settings);
    let engine = globals.open(settings)?;
    let image = engine.image(&args.image)?;
    let options = Push {
        compression: args.compression.map(|compression| match compression {
            Compression::Gzip => push::Compression::Gzip,
            Compression::Zstd => push::Compression::Zstd,
            Compression::None => push::Compression::Plain,
        }),
        verify_tls: args.access.verify_tls(),
        credentials: args.access.credentials()?,
    };
    let show = Show::new(args.quiet, "pushed");
    let shown = to.as_ref().map_or_else(|| args.image.clone(), ToString::to_string);
    show.say(&format!("pushing {shown}"));
    let digest = engine.push(&image, to.as_ref(), &options, &show)?;
    drop(show);
    output::text(&format!("{digest}\n"))?;
    Ok(ExitCode::SUCCESS)
}
