//! What failed, where, and why.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::hint::Hint;

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Opening a file.
    OpenFile,
    /// Opening a directory.
    OpenDir,
    /// Making a file.
    Create,
    /// Making a directory.
    MakeDir,
    /// Removing something.
    Remove,
    /// Moving something to this path.
    Rename,
    /// Making a hard link at this path.
    Link,
    /// Making a symbolic link at this path.
    Symlink,
    /// Reading a symbolic link.
    ReadLink,
    /// Reading metadata.
    Stat,
    /// Reading the names in a directory.
    List,
    /// Reading content.
    Read,
    /// Writing content.
    Write,
    /// Changing the mode.
    SetMode,
    /// Flushing to the disk.
    Sync,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenFile => "open",
            Self::OpenDir => "open the directory",
            Self::Create => "create",
            Self::MakeDir => "create the directory",
            Self::Remove => "remove",
            Self::Rename => "rename to",
            Self::Link => "create the hard link",
            Self::Symlink => "create the symbolic link",
            Self::ReadLink => "read the symbolic link",
            Self::Stat => "read the metadata of",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::SetMode => "change the mode of",
            Self::Sync => "flush",
        })
    }
}

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", .path.display())]
pub struct PathError {
    /// What was tried.
    pub action: Action,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl PathError {
    /// Puts an error together; for code that works on files this module has opened.
    pub fn new(action: Action, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// Returns the kind of the cause.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Returns whether there was nothing at the path.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Returns whether there was something at the path already.
    pub fn is_already_exists(&self) -> bool {
        self.kind() == io::ErrorKind::AlreadyExists
    }

    fn is(&self, errno: Errno) -> bool {
        self.source.raw_os_error() == Some(errno.raw_os_error())
    }
}

impl Hint for PathError {
    fn hint(&self) -> Option<String> {
        let path = self.path.display();
        match self.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some(format!("free space on the file system of `{path}`"))
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                Some(format!("mount the file system of `{path}` writable"))
            }
            _ if self.is(Errno::MFILE) => Some("raise the limit on open files: `ulimit -n`".into()),
            _ if self.is(Errno::XDEV) && self.action != Action::Rename => {
                Some(format!("`{path}` leads out of the directory it must stay in"))
            }
            _ => None,
        }
    }
}

/// Adds what was tried and where to a bare error number.
pub(super) trait Context<T> {
    fn at(self, action: Action, path: impl AsRef<Path>) -> Result<T, PathError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn at(self, action: Action, path: impl AsRef<Path>) -> Result<T, PathError> {
        self.map_err(|source| PathError::new(action, path, source))
    }
}
