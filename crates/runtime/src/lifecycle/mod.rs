//! Containers by the specification's life cycle: made from a bundle, started, signalled, deleted.
//!
//! A container is a directory below the root of a [`Runtime`], named by its id, with what is known
//! about it ([`Record`]) and, until it is started, the socket that its first process waits on. There
//! is no other state: what runs is looked up in the kernel each time.
//!
//! Source: opencontainers/runtime-spec 1.3.0, `runtime.md`.

mod bundle;
mod console;
mod create;
mod criu;
mod delete;
mod directory;
mod environment;
mod error;
mod events;
mod exec;
mod group;
mod hooks;
mod id;
mod locate;
mod notices;
mod pause;
mod preserved;
mod privileges;
mod record;
mod resctrl;
mod start;
mod state;
mod supervision;
mod user;

use std::path::Path;

use creel_base::path::Dir;
use rustix::fs::Mode;

pub use bundle::Bundle;
pub use create::{Console, Create};
pub use creel_spawn::RootChange;
pub use creel_spawn::cgroup::Below;
pub use criu::{After, Checkpoint, Criu, CriuError, Restore};
pub use delete::Deletion;
pub use error::LifecycleError;
pub use events::{Event, Watch};
pub use exec::{Exec, Joining};
pub use group::{Groups, Managers};
pub use id::ContainerId;
pub use notices::Notices;
pub use preserved::preserved;
pub use record::Record;
pub use state::{State, Status};
pub use user::Ids;

use directory::Directory;

/// Where containers are kept.
#[derive(Debug)]
pub struct Runtime {
    root: Dir,
}

impl Runtime {
    /// Opens a root directory, and makes it where it is missing.
    ///
    /// # Errors
    /// [`LifecycleError::Path`]; [`LifecycleError::Foreign`] if it is somebody else's, who could have
    /// processes killed that are none of his.
    pub fn open(root: &Path) -> Result<Self, LifecycleError> {
        let dir = Dir::open_or_create(root, Mode::RWXU)?;
        if dir.stat_self()?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(LifecycleError::Foreign { path: root.into() });
        }
        Ok(Self { root: dir })
    }

    /// What is known about a container, as the specification's `state` has it.
    ///
    /// # Errors
    /// [`LifecycleError::NoContainer`], or what makes its record unreadable.
    pub fn state(&self, id: &ContainerId) -> Result<State, LifecycleError> {
        State::of(&Directory::open(&self.root, id)?)
    }

    /// All containers whose records can be read, by id.
    ///
    /// # Errors
    /// [`LifecycleError::Path`].
    pub fn list(&self) -> Result<Vec<State>, LifecycleError> {
        let mut found = Vec::new();
        for entry in self.root.entries()? {
            // One that is being made or deleted meanwhile is none.
            let id =
                entry.ok().and_then(|entry| ContainerId::parse(&entry.name.to_string_lossy()).ok());
            found.extend(id.and_then(|id| self.state(&id).ok()));
        }
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }
}
