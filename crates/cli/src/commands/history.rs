//! `creel history`

use std::process::ExitCode;

use creel_base::size::ByteSize;
use creel_manager::images::{Image, Step};
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;
use crate::table::Table;
use crate::when;

/// Show the steps that made an image, the last one first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show commands whole
    #[arg(long)]
    no_trunc: bool,
    /// How to print the steps
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Name or id of the image
    image: String,
}

/// A step as programs see it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    /// Bytes of the layer that it made, as a pull transfers them.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    empty_layer: bool,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let image = globals.engine()?.image(&args.image)?;
    match args.format {
        Format::Json => output::json(&image.history().iter().rev().map(row).collect::<Vec<_>>())?,
        Format::Table => output::text(&table(&image, args.no_trunc))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn row<'a>(step: &Step<'a>) -> Row<'a> {
    Row {
        created: step.history.created.as_deref(),
        created_by: step.history.created_by.as_deref(),
        comment: step.history.comment.as_deref(),
        size: step.size,
        empty_layer: step.history.empty_layer,
    }
}

fn table(image: &Image, whole: bool) -> String {
    let mut table = Table::new(["CREATED", "SIZE", "CREATED BY", "COMMENT"]);
    let now = Timestamp::now();
    for step in image.history().iter().rev() {
        let created = step.history.created.as_ref().and_then(|text| text.parse().ok());
        let by = step.history.created_by.clone().unwrap_or_default();
        table.row([
            created.map_or_else(String::new, |created| when::ago(created, now)),
            step.size.map_or_else(String::new, |size| ByteSize(size).to_string()),
            if whole { by } else { cut(&by) },
            step.history.comment.clone().unwrap_or_default(),
        ]);
    }
    table.render()
}

/// A command as it fits a column.
fn cut(command: &str) -> String {
    const WIDTH: usize = 60;
    match command.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", command.get(..end).unwrap_or_default()),
        None => command.to_owned(),
    }
}
