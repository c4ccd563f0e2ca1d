//! `creel tree diff`

use std::process::ExitCode;

use creel_manager::trees::{self, ChangeKind, Difference};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// Show what differs between two trees
///
/// Prints `A` for what only the second tree has, `C` for what both have but not alike, and `D` for
/// what only the first has. Contents, types, modes, owners, times, extended attributes and hard
/// links count. Exits with 0 whether or not the trees differ, unless told otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first tree: an image, `IMAGE#N` for its Nth layer, or a tree's id
    #[arg(value_name = "A")]
    before: String,
    /// The second tree
    #[arg(value_name = "B")]
    after: String,
    /// Exit with 1 if the trees differ
    #[arg(long)]
    exit_code: bool,
    /// Print names as they are, each line ended by a NUL byte
    #[arg(short = '0', long, conflicts_with = "format")]
    null: bool,
    /// How to print the differences; `json` says also what of a file changed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let (before, after) = (engine.view(&args.before)?, engine.view(&args.after)?);
    let found = trees::compare(&before.tree, &after.tree);
    match args.format {
        Format::Json => output::json(&found)?,
        Format::Table => output::bytes(&found.iter().fold(Vec::new(), |mut out, difference| {
            line(&mut out, difference, args.null);
            out
        }))?,
    }
    Ok(ExitCode::from(u8::from(args.exit_code && !found.is_empty())))
}

fn line(out: &mut Vec<u8>, difference: &Difference, null: bool) {
    let letter = match difference.change {
        ChangeKind::Added => b'A',
        ChangeKind::Changed => b'C',
        ChangeKind::Deleted => b'D',
    };
    out.extend([letter, b' ']);
    output::name(out, &difference.bytes, null);
    out.push(if null { 0 } else { b'\n' });
}
