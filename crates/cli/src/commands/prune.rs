//! `creel prune`

use std::process::ExitCode;

use creel_base::size::ByteSize;
use creel_manager::trees::text;
use creel_manager::upkeep::{Pruned, Scope};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// Remove what no image and no container needs, and give its space back
///
/// Removing an image only takes its name away; this removes what it had. Pulls and commits that are
/// under way are waited for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove also the images that no container uses
    #[arg(short, long)]
    all: bool,
    /// Say what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// How to print what was removed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let scope = if args.all { Scope::UnusedImages } else { Scope::Garbage };
    let pruned = if args.dry_run { engine.prunable(scope)? } else { engine.prune(scope)? };
    match args.format {
        Format::Json => output::json(&pruned)?,
        Format::Table => output::text(&words(&pruned, args.dry_run))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn words(pruned: &Pruned, dry_run: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    let mut words = String::new();
    for name in &pruned.images {
        words.push_str(&format!("{would}removed: {}\n", text(name.as_bytes())));
    }
    let Pruned { documents, trees, objects, bytes, downloads, .. } = pruned;
    let mut what = format!("{objects} contents, {trees} trees, {documents} documents");
    if *downloads > 0 {
        what.push_str(&format!(", {downloads} unfinished downloads"));
    }
    words.push_str(&match pruned.freed_bytes {
        Some(freed) => format!("freed {}: {what}\n", ByteSize(freed)),
        None => format!("would remove {what}, with {} in files\n", ByteSize(*bytes)),
    });
    words
}
