//! `creel df`

use std::process::ExitCode;

use creel_base::size::ByteSize;
use creel_manager::trees::text;
use creel_manager::upkeep::{ImageUse, Report};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// Show what the store takes on disk, what is shared, and what a prune would free
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show the parts of the store, and what each image takes and shares
    #[arg(short, long)]
    verbose: bool,
    /// How to print it; `json` has everything, in bytes
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let report = globals.engine()?.disk_usage()?;
    match args.format {
        Format::Json => output::json(&report)?,
        Format::Table => {
            let mut words = summary(&report);
            if args.verbose {
                words.push_str(&parts(&report));
                words.push_str(&images(&report.images));
                words.push_str(&pinned(&report));
            }
            output::text(&words)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(report: &Report) -> String {
    let size = |bytes| ByteSize(bytes).to_string();
    let path = text(std::os::unix::ffi::OsStrExt::as_bytes(report.store.as_os_str()));
    let Report { logical_bytes, content_bytes, .. } = report;
    let shared = logical_bytes.saturating_sub(*content_bytes);
    let lines = [
        ("store", format!("{path}, {}", report.backend)),
        ("on disk", size(report.disk_bytes)),
        ("images", format!("{}, with {} in files", report.images.len(), size(*logical_bytes))),
        ("shared", format!("{} of that, kept once", size(shared))),
        ("prunable", prunable(report)),
        ("pinned", format!("by {} containers and mounts", report.pinned.len())),
    ];
    lines.iter().map(|(label, value)| format!("{label:<10}{value}\n")).collect()
}

fn prunable(report: &Report) -> String {
    match (report.prunable_bytes, report.prunable_objects) {
        (Some(bytes), Some(objects)) => format!("{} in {objects} contents", ByteSize(bytes)),
        _ => "unknown: `creel prune --dry-run` says why".into(),
    }
}

fn parts(report: &Report) -> String {
    let mut table = format!("\n{:<22}{:>9}{:>12}\n", "PART", "COUNT", "ON DISK");
    for part in report.parts.iter().filter(|part| part.count > 0) {
        let size = ByteSize(part.bytes).to_string();
        table.push_str(&format!("{:<22}{:>9}{size:>12}\n", part.name, part.count));
    }
    table
}

fn images(images: &[ImageUse]) -> String {
    let mut table = String::new();
    if !images.is_empty() {
        table = format!("\n{:>12}{:>12}{:>10}  IMAGE\n", "SIZE", "UNIQUE", "CONTENTS");
    }
    for image in images {
        let size = ByteSize(image.bytes).to_string();
        let unique = ByteSize(image.unique_bytes).to_string();
        let name = text(image.names.join(", ").as_bytes());
        table.push_str(&format!("{size:>12}{unique:>12}{:>10}  {name}\n", image.contents));
    }
    table
}

fn pinned(report: &Report) -> String {
    let mut table = String::new();
    for holder in &report.pinned {
        let name = text(holder.name.as_bytes());
        table.push_str(&format!("{:>9}  {name}\n", holder.trees.len()));
    }
    if table.is_empty() { table } else { format!("\n{:>9}  PINNED BY\n{table}", "TREES") }
}
