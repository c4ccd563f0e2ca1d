//! The directory of one container.

use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_base::atomic::{self, Durability};
use creel_base::path::{Action, Dir, PathError};
use rustix::fs::Mode;

use super::error::LifecycleError;
use super::id::ContainerId;
use super::record::{CgroupRecord, Record};

const RECORD: &str = "container.json";
const SOCKET: &str = "start";
/// What is left in it counts only until there is a record.
const GROUP: &str = "group.json";
/// The most that a record takes, in bytes.
const MAX_RECORD: u64 = 32 << 20;

/// The directory of one container.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    root: &'a Dir,
    pub(super) id: ContainerId,
    dir: Dir,
}

impl<'a> Directory<'a> {
    pub(super) fn create(root: &'a Dir, id: &ContainerId) -> Result<Self, LifecycleError> {
        match root.mkdir(id.as_str(), Mode::RWXU) {
            Err(error) if error.is_already_exists() => {
                let whole = root.exists(Path::new(id.as_str()).join(RECORD)).unwrap_or(true);
                Err(LifecycleError::Exists { id: id.to_string(), whole })
            }
            made => {
                made?;
                Self::open(root, id)
            }
        }
    }

    pub(super) fn open(root: &'a Dir, id: &ContainerId) -> Result<Self, LifecycleError> {
        match root.open_dir(id.as_str()) {
            Err(error) if error.is_not_found() => {
                Err(LifecycleError::NoContainer { id: id.to_string() })
            }
            opened => Ok(Self { root, id: id.clone(), dir: opened? }),
        }
    }

    pub(super) fn record(&self) -> Result<Record, LifecycleError> {
        let text = match self.dir.read(RECORD, MAX_RECORD) {
            Err(error) if error.is_not_found() => {
                return Err(LifecycleError::Unfinished { id: self.id.to_string() });
            }
            text => text?,
        };
        let path = self.dir.path().join(RECORD);
        serde_json::from_slice(&text)
            .map_err(|source| LifecycleError::document(&path, &text, source))
    }

    pub(super) fn write(&self, record: &Record) -> Result<(), LifecycleError> {
        let path = self.dir.path().join(RECORD);
        let text = serde_json::to_vec(record)
            .map_err(|source| LifecycleError::document(&path, b"", source))?;
        atomic::replace(&self.dir, RECORD, &text, Mode::RUSR | Mode::WUSR, Durability::Process)?;
        Ok(())
    }

    /// Writes down which control group is about to be made.
    pub(super) fn note(&self, group: &CgroupRecord) -> Result<(), LifecycleError> {
        let path = self.dir.path().join(GROUP);
        let text = serde_json::to_vec(group)
            .map_err(|source| LifecycleError::document(&path, b"", source))?;
        let mut file = self.dir.create_new(GROUP, Mode::RUSR | Mode::WUSR)?;
        file.write_all(&text).map_err(|error| PathError::new(Action::Write, path, error))?;
        Ok(())
    }

    /// The control group that was about to be made. What is not there as a whole was followed by none.
    pub(super) fn noted(&self) -> Option<CgroupRecord> {
        let text = self.dir.read(GROUP, MAX_RECORD).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// A file of the directory's by a path that is short, whatever that of the directory: names of
    /// sockets are.
    pub(super) fn way_to(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.dir.as_fd().as_raw_fd()).into()
    }

    /// A file of the directory's, absolute.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Makes a directory in it, with exactly this mode.
    pub(super) fn make_directory(&self, name: &str, mode: Mode) -> Result<(), LifecycleError> {
        Ok(self.dir.mkdir_open(name, mode)?.set_mode(mode)?)
    }

    pub(super) fn has(&self, name: &str) -> Result<bool, LifecycleError> {
        Ok(self.dir.exists(name)?)
    }

    fn socket_error(&self) -> impl FnOnce(std::io::Error) -> LifecycleError {
        let path = self.dir.path().join(SOCKET);
        |source| LifecycleError::Socket { path, source }
    }

    /// Makes the socket that the first process waits on.
    pub(super) fn listen(&self) -> Result<Arc<OwnedFd>, LifecycleError> {
        let listener = UnixListener::bind(self.way_to(SOCKET)).map_err(self.socket_error())?;
        Ok(Arc::new(listener.into()))
    }

    /// Connects to the socket, which starts the first process.
    pub(super) fn connect(&self) -> Result<UnixStream, LifecycleError> {
        UnixStream::connect(self.way_to(SOCKET)).map_err(self.socket_error())
    }

    /// Notes that the container has been started.
    pub(super) fn set_started(&self) -> Result<(), LifecycleError> {
        Ok(self.dir.unlink(SOCKET)?)
    }

    /// Whether the container still waits for its start.
    pub(super) fn waits(&self) -> Result<bool, LifecycleError> {
        self.has(SOCKET)
    }

    pub(super) fn remove(self) -> Result<(), LifecycleError> {
        Ok(self.root.remove_all(self.id.as_str())?)
    }
}
