//! `creel tree checkout`

use std::path::PathBuf;
use std::process::ExitCode;

use creel_manager::Owners;
use creel_manager::trees::{CheckedOut, IfExists};

use crate::failure::Failure;
use crate::output;
use crate::settings::Globals;

/// Write a tree into a directory
///
/// The directory appears as a whole or not at all. As root, files have the owners that the tree
/// gives them; as a user they are yours, and device files and attributes such as file capabilities
/// are left out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Replace the directory, with all that is in it
    #[arg(short, long)]
    force: bool,
    /// The tree: an image, `IMAGE#N` for its Nth layer, or a tree's id
    #[arg(value_name = "REF")]
    tree: String,
    /// The directory to write: a new or an empty one
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine = globals.engine()?;
    let view = engine.view(&args.tree)?;
    let if_exists = if args.force { IfExists::Replace } else { IfExists::Fail };
    let keep = globals.directories_in_use();
    let owners = engine.owners();
    let left_out = view.checkout(engine.store(), &args.directory, owners, if_exists, &keep)?;
    if owners == Owners::Caller {
        output::note(&notice(left_out));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a user gets that is not what the tree says.
fn notice(left_out: CheckedOut) -> String {
    let mut words = String::from("all files are yours: only root can give them other owners");
    let CheckedOut { devices, xattrs } = left_out;
    for (count, what) in [(devices, "device files"), (xattrs, "extended attributes")] {
        if count > 0 {
            words.push_str(&format!("; left out {count} {what}"));
        }
    }
    words
}
