//! Errors that know how to help.

use std::error::Error;

/// An error that can say what a person could do about it.
///
/// A hint is one sentence in the imperative, without a full stop, with commands and paths in
/// backticks: ``run `creel fsck --repair` to drop the damaged image``. The command line prints it
/// on a line of its own after the error and its causes.
pub trait Hint: Error {
    /// Returns what the user could try next, if this error knows.
    fn hint(&self) -> Option<String> {
        None
    }
}
