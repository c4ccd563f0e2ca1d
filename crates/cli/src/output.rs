//! How data reaches standard output.

use std::io::{self, Write as _};

use clap::ValueEnum;

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
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::output(&e))
}

/// Writes a value as indented JSON and a line end.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let shown = serde_json::to_string_pretty(value).map_err(|e| Failure::output(&e.into()))?;
    text(&(shown + "\n"))
}
