//! `creel images`

use std::process::ExitCode;

use creel_base::id::SHORT;
use creel_base::reference::Reference;
use creel_base::size::ByteSize;
use creel_manager::images::{Filter, Image, Images};
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;
use crate::table::Table;
use crate::when;

/// List the images in the store
///
/// SIZE is what a pull transfers; `creel df` shows what the store takes on the disk, where images
/// share what they have in common.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel images\n  creel images --filter 'name=debian*'\n  \
                        creel images --all --filter dangling=true --quiet | xargs creel rmi")]
pub(crate) struct Args {
    /// List images without a name too
    #[arg(short, long)]
    all: bool,
    /// List what matches only: name=PATTERN, label=NAME[=VALUE] or dangling=true|false
    #[arg(short, long = "filter", value_name = "FILTER")]
    filters: Vec<Filter>,
    /// Print ids only
    #[arg(short, long)]
    quiet: bool,
    /// Print ids whole
    #[arg(long)]
    no_trunc: bool,
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// An image as programs see it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: String,
    digest: String,
    names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<&'a str>,
    /// Bytes that a pull transfers.
    size: u64,
    os: &'a str,
    architecture: &'a str,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let all = args.all || args.filters.iter().any(Filter::wants_dangling);
    let Images { mut images, damaged } =
        if all { engine.all_images()? } else { engine.images()? };
    images.retain(|image| args.filters.iter().all(|filter| filter.matches(image)));
    damaged.into_iter().for_each(|(_, error)| Failure::from(error).warn());
    match args.format {
        _ if args.quiet => output::text(&ids(&images, args.no_trunc))?,
        Format::Json => output::json(&images.iter().map(row).collect::<Vec<_>>())?,
        Format::Table => output::text(&table(&images, args.no_trunc))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn row(image: &Image) -> Row<'_> {
    Row {
        id: image.id.to_string(),
        digest: image.digest.to_string(),
        names: image.names.iter().map(shown).collect(),
        created: image.config.created.as_deref(),
        size: image.download_size(),
        os: &image.config.os,
        architecture: &image.config.architecture,
    }
}

/// A name by digest that came along with a tag is shown without that.
pub(crate) fn shown(name: &Reference) -> String {
    name.digest().map_or_else(|| name.to_string(), |digest| name.at_digest(digest).to_string())
}

fn ids(images: &[Image], whole: bool) -> String {
    let mut ids: Vec<String> = images.iter().map(|image| id(image, whole) + "\n").collect();
    ids.dedup();
    ids.concat()
}

fn id(image: &Image, whole: bool) -> String {
    match whole {
        true => image.id.to_string(),
        false => image.id.hex().chars().take(SHORT).collect(),
    }
}

/// One line a tag; an image that has none is listed by its digest.
fn table(images: &[Image], whole: bool) -> String {
    let mut table = Table::new(["IMAGE", "ID", "CREATED", "SIZE"]);
    let now = Timestamp::now();
    for image in images {
        let tags: Vec<String> =
            image.names.iter().filter(|n| n.digest().is_none()).map(ToString::to_string).collect();
        let names = match (tags.is_empty(), image.names.first()) {
            (false, _) => tags,
            (true, Some(name)) => vec![shown(name)],
            (true, None) => vec!["<none>".to_owned()],
        };
        for name in names {
            let size = ByteSize(image.download_size()).to_string();
            table.row([name, id(image, whole), created(image, now), size]);
        }
    }
    table.render()
}

fn created(image: &Image, now: Timestamp) -> String {
    let created = image.config.created.as_ref().and_then(|text| text.parse().ok());
    created.map_or_else(|| "unknown".to_owned(), |created| when::ago(created, now))
}
