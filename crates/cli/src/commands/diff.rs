//! `creel diff`

use std::process::ExitCode;

use creel_manager::containers::{Changed, How};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// Show what a container has changed
///
/// One path a line: `A` added, `C` changed, `D` deleted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print the changes
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Container to look at: its name, its id, or the beginning of its id
    container: String,
}

/// A change as programs see it.
#[derive(Debug, Serialize)]
struct Row {
    path: String,
    change: &'static str,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let container = engine.find_container(&args.container)?;
    let changes = engine.container_diff(&container)?;
    match args.format {
        Format::Json => output::json(&changes.iter().map(row).collect::<Vec<_>>())?,
        Format::Table => {
            let mut lines = Vec::new();
            for change in &changes {
                lines.extend_from_slice(letter(change.how));
                output::name(&mut lines, &change.path, false);
                lines.push(b'\n');
            }
            output::bytes(&lines)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(change: &Changed) -> Row {
    let how = match change.how {
        How::Added => "added",
        How::Changed => "changed",
        How::Deleted => "deleted",
    };
    Row { path: creel_manager::trees::text(&change.path), change: how }
}

const fn letter(how: How) -> &'static [u8] {
    match how {
        How::Added => b"A ",
        How::Changed => b"C ",
        How::Deleted => b"D ",
    }
}
