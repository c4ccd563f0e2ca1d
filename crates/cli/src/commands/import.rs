//! `creel import`

use std::path::PathBuf;
use std::process::ExitCode;

use creel_base::platform::Platform;
use creel_manager::images::new_name;
use creel_manager::import::Import;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;

/// Make an image of a root file system
///
/// Reads a directory, or a tar, plain or compressed by gzip or zstd. Prints the image's id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mmdebstrap trixie - | creel import - debian:13\n  \
                        creel import --change 'CMD [\"/bin/sh\"]' rootfs.tar.gz base")]
pub(crate) struct Args {
    /// Apply an instruction of a Containerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD,
    /// STOPSIGNAL, USER, VOLUME or WORKDIR
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// A remark for the image's history
    #[arg(short, long)]
    message: Option<String>,
    /// What the image runs on [default: this machine]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// The directory or archive, or `-` for an archive on standard input
    file: PathBuf,
    /// A name for the image; without a registry it is at `localhost`
    name: Option<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let name = args.name.as_deref().map(new_name).transpose()?;
    let engine = globals.open_or_make(globals.settings()?)?;
    let what = Import {
        platform: args.platform.clone().unwrap_or_else(|| engine.platform().clone()),
        changes: args.changes.clone(),
        message: args.message.clone(),
        created: Timestamp::now(),
    };
    let image = match args.file.to_str() {
        Some("-") => engine.import(&mut std::io::stdin(), &what, name.as_ref())?,
        _ if args.file.is_dir() => engine.import_directory(&args.file, &what, name.as_ref())?,
        _ => engine.import_file(&args.file, &what, name.as_ref())?,
    };
    output::text(&format!("{}\n", image.id))?;
    Ok(ExitCode::SUCCESS)
}
