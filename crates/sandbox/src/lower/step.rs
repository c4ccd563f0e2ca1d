//! What the calls are for, in words when one of them fails.

use std::fmt;
use std::path::PathBuf;

use crate::sandbox::{Change, Sandbox, Upper};

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The same in every sandbox.
    Fixed(&'static str),
    /// Making namespaces.
    Namespaces,
    /// A part of the change with this index.
    Change(usize, Part),
    /// Executing the program.
    Execute,
}

/// What of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Opening the path of the host.
    Source,
    /// Making the place.
    Place,
    /// Making and attaching the mount.
    Mount,
    /// Everything after that.
    Content,
}

/// A step of a sandbox that failed: what could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Finding a path of the host.
    Source(PathBuf),
    /// Making a place in the root.
    Place(PathBuf),
    /// Mounting the host's processes, or those of the sandbox.
    MountProc(PathBuf),
    /// Mounting something there.
    Mount(PathBuf),
    /// Making what is there.
    Content(PathBuf),
    /// Something else, in words that follow "cannot".
    Other(&'static str),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(path) => write!(f, "find the source path `{}`", path.display()),
            Self::Place(path) => write!(f, "make the place `{}`", path.display()),
            Self::MountProc(path) => write!(f, "mount procfs on `{}`", path.display()),
            Self::Mount(path) => write!(f, "mount on `{}`", path.display()),
            Self::Content(path) => write!(f, "make what is in `{}`", path.display()),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl Name {
    pub(crate) fn step(self, sandbox: &Sandbox) -> Step {
        let (index, part) = match self {
            Self::Fixed(words) => return Step::Other(words),
            Self::Namespaces => return Step::Other("make the namespaces"),
            Self::Execute => return Step::Other("execute the program"),
            Self::Change(index, part) => (index, part),
        };
        let Some(change) = sandbox.changes.get(index) else { return Step::Other("go on") };
        let at = change.at();
        match (part, change) {
            (_, Change::Hostname(_)) => Step::Other("set the host name"),
            (Part::Source, _) => Step::Source(change.source().unwrap_or(at)),
            (Part::Place, _) => Step::Place(at),
            (Part::Mount, Change::Proc { .. }) => Step::MountProc(at),
            (Part::Mount, _) => Step::Mount(at),
            (Part::Content, _) => Step::Content(at),
        }
    }
}

impl Change {
    /// Its place.
    pub(crate) fn at(&self) -> PathBuf {
        match self {
            Self::Bind { at, .. }
            | Self::BindOpen { at, .. }
            | Self::RemountReadOnly { at }
            | Self::Overlay { at, .. }
            | Self::Proc { at }
            | Self::Dev { at }
            | Self::Tmpfs { at, .. }
            | Self::Mqueue { at }
            | Self::Dir { at, .. }
            | Self::File { at, .. }
            | Self::Data { at, .. }
            | Self::Link { at, .. }
            | Self::Mode { at, .. } => at.clone(),
            Self::Hostname(_) => PathBuf::new(),
        }
    }

    fn source(&self) -> Option<PathBuf> {
        match self {
            Self::Bind { source, .. } => Some(source.clone()),
            Self::Overlay { upper: Upper::Directory { upper, .. }, .. } => Some(upper.clone()),
            Self::Overlay { layers, .. } => layers.first().cloned(),
            _ => None,
        }
    }
}
