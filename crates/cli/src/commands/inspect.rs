//! `creel inspect`

use std::process::ExitCode;

use creel_base::reference::Reference;
use creel_manager::Engine;
use creel_manager::images::Image;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;

/// Show all that is known of images, as a JSON array
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel inspect debian:13\n  \
                        creel inspect debian:13 | jq -r '.[].Config.Env[]'")]
pub(crate) struct Args {
    /// Names or ids
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let found = args.names.iter().map(|name| inspect(&engine, name));
    output::json(&found.collect::<Result<Vec<_>, _>>()?)?;
    Ok(ExitCode::SUCCESS)
}

fn inspect(engine: &Engine, name: &str) -> Result<Value, Failure> {
    let image = engine.named(engine.image(name)?)?;
    Ok(describe(&image))
}

/// An image in the words of `docker image inspect`, which scripts know.
fn describe(image: &Image) -> Value {
    let config = &image.config;
    let names = |digests: bool| {
        let chosen = image.names.iter().filter(move |name| name.digest().is_some() == digests);
        chosen.map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut digests = names(true);
    let own = image.names.iter().filter(|name| name.digest().is_none());
    digests.extend(own.map(|name: &Reference| name.at_digest(image.digest).to_string()));
    digests.sort();
    digests.dedup();
    json!({
        "Id": image.id.to_string(),
        "Digest": image.digest.to_string(),
        "RepoTags": names(false),
        "RepoDigests": digests,
        "Created": config.created,
        "Author": config.author,
        "Os": config.os,
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Size": image.download_size(),
        "Config": config.config,
        "RootFS": {
            "Type": config.rootfs.kind,
            "Layers": config.rootfs.diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
        "History": config.history,
        "Annotations": image.manifest.annotations,
        "Layers": image.manifest.layers,
    })
}
