//! `creel inspect`

use std::process::ExitCode;

use creel_base::digest::ObjectId;
use creel_base::reference::Reference;
use creel_manager::Engine;
use creel_manager::containers::{Container, ContainerError, Root, State};
use creel_manager::images::Image;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;

/// Show all that is known of containers and images, as a JSON array
///
/// A name is looked for among the containers first.
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
    let image = || Ok(describe(&engine.named(engine.image(name)?)?));
    let Some(catalog) = engine.existing_containers()? else { return image() };
    match catalog.find(name) {
        Ok(container) => Ok(describe_container(&container, catalog.state(&container)?)),
        Err(ContainerError::NotFound { .. }) => image(),
        Err(error) => Err(error.into()),
    }
}

/// A container in the words of `docker inspect`, with the runtime specification it is run by.
fn describe_container(container: &Container, state: State) -> Value {
    let record = &container.record;
    let (pid, exit_code, started, ended) = match state {
        State::Running(process) => (Some(process.pid), None, Some(process.started), None),
        State::Exited(exit) => (None, Some(exit.code), Some(exit.started), Some(exit.ended)),
        State::Lost(process) => (process.map(|process| process.pid), None, None, None),
        State::Created | State::Busy => (None, None, None, None),
    };
    let image = match &record.root {
        Root::Image(image) => Some(image.id.to_string()),
        Root::Host(_) => None,
    };
    json!({
        "Id": record.id.to_string(),
        "Name": record.name,
        "Created": record.created,
        "Image": image,
        "ImageName": record.root.to_string(),
        "State": {
            "Status": state.word(),
            "Running": state.is_active(),
            "Pid": pid,
            "ExitCode": exit_code,
            "StartedAt": started,
            "FinishedAt": ended,
        },
        "AutoRemove": record.policy.remove,
        "Trees": record.root.trees().iter().map(ObjectId::hex).collect::<Vec<_>>(),
        "Spec": record.spec,
    })
}

/// An image in the words of `docker image inspect`, which scripts know.
fn describe(image: &Image) -> Value {
    let config = &image.config;
    let tags = image.names.iter().filter(|name| name.digest().is_none());
    // One that came along with a tag has both.
    let by_digest = |name: &Reference| name.at_digest(name.digest().unwrap_or(image.digest));
    let mut digests: Vec<_> = image.names.iter().map(|name| by_digest(name).to_string()).collect();
    digests.sort();
    digests.dedup();
    json!({
        "Id": image.id.to_string(),
        "Digest": image.digest.to_string(),
        "RepoTags": tags.map(ToString::to_string).collect::<Vec<_>>(),
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
