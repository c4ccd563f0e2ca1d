//! `host:`, the running system as an image.

use std::path::PathBuf;

use creel_manager::containers::{Overrides, Record, Root};

use crate::failure::Failure;
use crate::output;

/// What it is called where an image is wanted.
pub(crate) const NAME: &str = "host:";
/// Variables that a command finds as it would outside.
const KEPT: [&str; 8] = ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TZ", "USER"];

/// Lets a command start as it would outside: in the same directory, with the same basic variables.
pub(crate) fn as_here(process: &mut Overrides) -> Result<(), Failure> {
    if process.cwd.is_none() {
        let here = std::env::current_dir().map_err(|error| Failure::working_directory(&error))?;
        process.cwd = here.into_os_string().into_string().ok();
    }
    let kept =
        KEPT.iter().filter_map(|name| Some(((*name).to_owned(), Some(std::env::var(name).ok()?))));
    // What the person has set comes after, and holds.
    process.env.splice(..0, kept.collect::<Vec<_>>());
    Ok(())
}

/// Where a user probably wants to write: the home and the working directory.
pub(crate) fn places_of_work() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    home.into_iter().chain(std::env::current_dir()).collect()
}

/// Says what of the running system cannot be changed even in the container.
pub(crate) fn explain(record: &Record) {
    let Root::Host(host) = &record.root else { return };
    if !host.overlays.iter().any(|path| path.as_os_str() == "/") {
        let places: Vec<_> =
            host.overlays.iter().map(|path| format!("`{}`", path.display())).collect();
        let places = places.join(", ");
        output::note(&format!("a user's changes are possible in {places}; all else is read-only"));
    }
    for left_out in &host.left_out {
        output::note(&format!("not in the container: {left_out}"));
    }
}
