//! Writes the man pages, one a command, into the directory that is given.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(std::io::Error::other("usage: man DIRECTORY"));
    };
    std::fs::create_dir_all(&directory)?;
    clap_mangen::generate_to(creel_cli::command(), directory)
}
