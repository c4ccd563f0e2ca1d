//! The mount points that every container needs, as a layer below its image.
//!
//! An image need not have them. Made in a container's own upper directory they would cost ten
//! operations on the disk in every run, and stay as changes that nobody made.

use std::path::PathBuf;

use creel_base::path::{Dir, PathError};
use rustix::fs::Mode;

const NAME: &str = "mount-points";
const DIRECTORIES: [&str; 4] = ["dev", "etc", "proc", "sys"];
const FILES: [&str; 3] = ["etc/hostname", "etc/hosts", LAST];
/// What is made last: with it, all of them are there.
const LAST: &str = "etc/resolv.conf";
/// Of directories that the image does not have; where it has one, that one's mode counts.
const PUBLIC: Mode = Mode::from_raw_mode(0o755);

/// Returns the directory below the run directory that holds them, made at the first use. Two
/// processes that make it at once do no harm.
pub(super) fn layer(run: &Dir) -> Result<PathBuf, PathError> {
    let dir = run.mkdir_open(NAME, PUBLIC)?;
    if !dir.exists(LAST)? {
        fill(&dir)?;
    }
    Ok(dir.path().to_owned())
}

fn fill(dir: &Dir) -> Result<(), PathError> {
    for name in DIRECTORIES {
        // The mode is set apart: that of mkdir(2) is subject to the caller's mask.
        dir.mkdir_open(name, PUBLIC)?.set_mode(PUBLIC)?;
    }
    for name in FILES {
        match dir.create_new(name, Mode::RUSR) {
            Err(error) if error.is_already_exists() => {}
            made => drop(made?),
        }
    }
    Ok(())
}
