//! `creel tree ls`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use creel_manager::trees::{self, Row};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::settings::Globals;

/// List a directory of a tree
///
/// Names are bytes: those that could act on a terminal or are not UTF-8 are printed with escapes as
/// in C, `-0` prints all as they are. A layer's whiteouts are listed with the type `w`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// List also what lies below, with paths from the root of the tree
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Show type, mode, owner, size and time (UTC) too; `+` after the mode: extended attributes
    #[arg(short, long)]
    long: bool,
    /// Print names as they are, each line ended by a NUL byte
    #[arg(short = '0', long, conflicts_with = "format")]
    null: bool,
    /// How to print the list; `json` has all there is to know
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The tree: an image, `IMAGE#N` for its Nth layer, or a tree's id
    #[arg(value_name = "REF")]
    tree: String,
    /// The directory, or a single file, from the root of the tree
    #[arg(default_value = "/")]
    path: OsString,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let view = globals.engine()?.view(&args.tree)?;
    let rows = trees::rows(&view.tree, args.path.as_bytes(), args.recursive)?;
    match args.format {
        Format::Json => output::json(&rows)?,
        Format::Table => output::bytes(&table(&rows, args))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[Row], args: &Args) -> Vec<u8> {
    let mut out = Vec::new();
    let widths = Widths::of(rows);
    for row in rows {
        if args.long {
            out.extend_from_slice(widths.columns(row).as_bytes());
        }
        let base = row.bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        output::name(&mut out, if args.recursive { &row.bytes } else { base }, args.null);
        if let Some(target) = row.target_bytes.as_ref().filter(|_| args.long) {
            out.extend_from_slice(b" -> ");
            output::name(&mut out, target, args.null);
        }
        out.push(if args.null { 0 } else { b'\n' });
    }
    out
}

/// How wide the columns of numbers are.
struct Widths {
    owner: usize,
    group: usize,
    size: usize,
}

impl Widths {
    fn of(rows: &[Row]) -> Self {
        let widest = |width: fn(&Row) -> usize| rows.iter().map(width).max().unwrap_or_default();
        Self {
            owner: widest(|row| row.uid.to_string().len()),
            group: widest(|row| row.gid.to_string().len()),
            size: widest(|row| size(row).len()),
        }
    }

    /// All columns before the name, with the space after the last.
    fn columns(&self, row: &Row) -> String {
        let Self { owner, group, size: width } = self;
        let mark = if row.xattrs.is_empty() { ' ' } else { '+' };
        format!(
            "{}{}{mark} {:>owner$} {:>group$} {:>width$} {} ",
            letter(row),
            permissions(row),
            row.uid,
            row.gid,
            size(row),
            time(row),
        )
    }
}

fn size(row: &Row) -> String {
    match row.device {
        Some([major, minor]) => format!("{major}, {minor}"),
        None => row.size.to_string(),
    }
}

/// To the minute, as `ls` shows it.
fn time(row: &Row) -> String {
    let minute = row.mtime.get(..16).filter(|_| !row.mtime.starts_with('@'));
    minute.map_or_else(|| format!("{:>16}", row.mtime), |minute| minute.replace('T', " "))
}

fn letter(row: &Row) -> char {
    match row.kind {
        "directory" => 'd',
        "symlink" => 'l',
        "character-device" => 'c',
        "block-device" => 'b',
        "fifo" => 'p',
        "socket" => 's',
        "whiteout" => 'w',
        "lower-link" => 'h',
        _ => '-',
    }
}

/// `rwxr-xr-x`, with set-id and sticky bits as `ls` shows them.
fn permissions(row: &Row) -> String {
    let mode = u32::from_str_radix(&row.mode, 8).unwrap_or_default();
    let mut text = String::new();
    for (shift, special, with, without) in
        [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => with,
            (false, true) => without,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}
