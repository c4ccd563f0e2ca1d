//! Files of policies.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use creel_base::path::{Action, PathError};
use creel_sandbox::policy::{Files, Found, Meaning};

/// More than any policy may have.
const MAX_BYTES: u64 = 64 << 20;

/// Reads what policies include from where a reader of theirs looks for it.
pub(in crate::commands::jail) struct Disk(pub(in crate::commands::jail) Meaning);

impl Files for Disk {
    fn read(&mut self, from: &str, path: &str) -> io::Result<Found> {
        let base = match self.0 {
            Meaning::Launcher => None,
            Meaning::Compiler => Path::new(from).parent(),
        };
        let relative = Path::new(path.strip_prefix("./").unwrap_or(path));
        let path = base.map_or_else(|| relative.to_owned(), |base| base.join(relative));
        let text = read(File::open(&path)?)?;
        Ok(Found { name: path.display().to_string(), text })
    }
}

/// The text of a file, or of standard input.
pub(super) fn text(path: &Path) -> Result<String, PathError> {
    let read = match path == "-" {
        true => read(io::stdin().lock()),
        false => File::open(path).and_then(read),
    };
    read.map_err(|error| PathError::new(Action::Read, path, error))
}

fn read(from: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
