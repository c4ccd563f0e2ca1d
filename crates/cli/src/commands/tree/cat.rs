//! `creel tree cat`

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use creel_manager::trees::{TreesError, View};
use creel_manager::{Engine, Store};

use crate::failure::Failure;
use crate::settings::Globals;

/// Print the content of files in a tree
///
/// Symbolic links are followed inside the tree. What is printed was checked against its digest
/// before: of a damaged file nothing is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tree: an image, `IMAGE#N` for its Nth layer, or a tree's id
    #[arg(value_name = "REF")]
    tree: String,
    /// The files, from the root of the tree
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<OsString>,
}

pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let engine: Engine = globals.engine()?;
    let view = engine.view(&args.tree)?;
    for path in &args.paths {
        check(&view, engine.store(), path.as_bytes())?;
        print(&view, engine.store(), path.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a file to its end, where it is checked.
fn check(view: &View, store: &Store, path: &[u8]) -> Result<(), Failure> {
    let mut file = view.open(store, path)?;
    let read = io::copy(&mut file, &mut io::sink());
    read.map(drop).map_err(|source| TreesError::Read { path: path.to_vec(), source }.into())
}

fn print(view: &View, store: &Store, path: &[u8]) -> Result<(), Failure> {
    let mut file = view.open(store, path)?;
    let mut out = io::stdout().lock();
    let mut buffer = vec![0; 1 << 17];
    loop {
        let read = file.read(&mut buffer);
        let length = read.map_err(|source| TreesError::Read { path: path.to_vec(), source })?;
        let Some(piece @ [_, ..]) = buffer.get(..length) else {
            return out.flush().map_err(|error| Failure::output(&error));
        };
        out.write_all(piece).map_err(|error| Failure::output(&error))?;
    }
}
