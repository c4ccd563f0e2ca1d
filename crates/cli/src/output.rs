//! How data reaches standard output.

use std::io::{self, Write as _};

use clap::ValueEnum;
use creel_base::printable::printable;

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

/// Writes a value as indented JSON and a line end.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let shown = serde_json::to_string_pretty(value).map_err(|e| Failure::output(&e.into()))?;
    text(&(shown + "\n"))
}
