//! Directories as descriptors, and paths that cannot lead out of them.
//!
//! [`Dir`] is the one place for raw file calls in the blocks above. Every call takes a path relative to
//! an open directory and resolves it without leaving that directory, whatever symbolic links are on
//! the way and whoever moves things meanwhile (openat2(2), Linux 5.6; without it, a walk part by
//! part). The last part is never followed where something is made, moved or removed. Every error
//! names its path.

mod dir;
mod error;
mod list;
mod remove;
mod resolve;

pub use dir::{Dir, IfExists};
pub use error::{Action, PathError};
pub use list::{Entries, Entry};
pub use resolve::Scope;
pub use rustix::fs::{FileType, Mode, OFlags, Stat};

#[cfg(test)]
mod tests;
