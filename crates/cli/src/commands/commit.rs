//! `creel commit`

use std::process::ExitCode;

use creel_manager::containers::Commit;
use creel_manager::images;

use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;

/// Make an image of a container: its image, and a layer of what it has changed
///
/// Prints the new image's id.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apply an instruction of a Containerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD,
    /// STOPSIGNAL, USER, VOLUME or WORKDIR
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// A remark for the image's history
    #[arg(short, long)]
    message: Option<String>,
    /// Who made it
    #[arg(short, long)]
    author: Option<String>,
    /// Container to make an image of: its name, its id, or the beginning of its id
    container: String,
    /// A name for the image; without a registry it is at `localhost`
    name: Option<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let name = args.name.as_deref().map(images::new_name).transpose()?;
    let engine = globals.engine()?;
    let container = engine.find_container(&args.container)?;
    let what = Commit {
        changes: args.changes.clone(),
        message: args.message.clone(),
        author: args.author.clone(),
    };
    let image = engine.commit(container, &what, name.as_ref())?;
    output::text(&format!("{}\n", image.id))?;
    Ok(ExitCode::SUCCESS)
}
