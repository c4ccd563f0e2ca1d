//! `creel fsck`

use std::process::ExitCode;

use creel_manager::trees::text;
use creel_manager::upkeep::{Check, Finding};
use creel_manager::{Engine, StoreCheck};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// Check the store: read everything, and name what is damaged or missing and which images that hits
///
/// Exits with 1 if anything is wrong, also when it was repaired.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Drop what is damaged, so that pulling the images again restores it
    #[arg(long)]
    repair: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let check = match args.repair {
        true => Engine::repair(globals.settings()?)?,
        false => globals.engine()?.check(StoreCheck::Check)?,
    };
    match args.format {
        Format::Json => output::json(&check)?,
        Format::Table => output::text(&words(&check))?,
    }
    Ok(ExitCode::from(u8::from(!check.problems.is_empty())))
}

fn words(check: &Check) -> String {
    if check.problems.is_empty() {
        return "the store is whole\n".into();
    }
    let mut words: String = check.problems.iter().map(line).collect();
    if !check.broken_images.is_empty() {
        words.push_str("\nimages to pull or make again:\n");
        for name in &check.broken_images {
            words.push_str(&format!("  {}\n", text(name.as_bytes())));
        }
    }
    words.push_str(match check.repaired {
        true => "\nwhat was damaged has been dropped, or made again\n",
        false => "\n`creel fsck --repair` drops what is damaged, so that a pull restores it\n",
    });
    words
}

fn line(finding: &Finding) -> String {
    let Finding { what, name, problem, images } = finding;
    let hits = match images.as_slice() {
        [] if finding.is_vital() => "all images need it".into(),
        [] if finding.is_derived() => "it is made again once it is dropped".into(),
        [] => "no image needs it".into(),
        images => format!("hits {}", text(images.join(", ").as_bytes())),
    };
    format!("{what} {} {problem}: {hits}\n", text(name.as_bytes()))
}
