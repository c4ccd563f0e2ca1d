//! How data reaches standard output.

use std::io::{self, Write as _};
use std::path::Path;

use clap::ValueEnum;
use creel_base::atomic::{self, Durability};
use creel_base::path::Dir;
use creel_base::printable::printable;
use rustix::fs::Mode;

use crate::failure::Failure;

/// The form of a command's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// Writes text to standard output.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes bytes to standard output as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| Failure::output(&e))
}

/// Adds a name, which may be any bytes, to what is printed: as it is, or safe for a terminal.
pub(crate) fn name(out: &mut Vec<u8>, name: &[u8], raw: bool) {
    if raw {
        out.extend_from_slice(name);
    } else {
        out.extend_from_slice(creel_manager::trees::text(name).as_bytes());
    }
}

/// Says something that is no data on standard error.
pub(crate) fn note(words: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr().lock(), "note: {}", printable(words));
}

/// Writes a process id to a file, whole or not at all, for who waits for the file.
pub(crate) fn pid_file(path: &Path, pid: i32) -> Result<(), Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = Dir::open(parent.unwrap_or_else(|| Path::new(".")))?;
    let name = path.file_name().unwrap_or_default();
    let (text, mode) = (pid.to_string(), Mode::from_raw_mode(0o644));
    Ok(atomic::replace(&directory, name, text.as_bytes(), mode, Durability::Process)?)
}

/// Writes a value as indented JSON and a line end.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let shown = serde_json::to_string_pretty(value).map_err(|e| Failure::output(&e.into()))?;
    text(&(shown + "\n"))
}

/// Writes a value as JSON in one line.
pub(crate) fn line(value: &impl serde::Serialize) -> Result<(), Failure> {
    let shown = serde_json::to_string(value).map_err(|e| Failure::output(&e.into()))?;
    text(&(shown + "\n"))
}
