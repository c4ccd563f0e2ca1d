//! Containers: made of an image or of the running system, run in the foreground, kept as files.
//!
//! [`Catalog`] lists and finds them, [`Engine::prepare_container`](crate::Engine::prepare_container)
//! makes one, [`Prepared::start`] runs it, and whoever runs it holds its lock until it has ended.

mod catalog;
mod cgroups;
mod changes;
mod changes_error;
mod commit;
mod devices;
mod ending;
mod error;
mod etc;
mod exec;
mod holder;
mod host;
mod layered;
mod left;
mod mount_points;
pub mod options;
mod own_file;
mod prepare;
mod record;
mod remove;
mod run_error;
mod run_files;
mod running;
mod spec;
mod streams;
mod text;
mod trees;
mod upper;
pub(crate) mod users;
mod volume;

pub use catalog::{Catalog, Container, Owned};
pub use changes::{Changed, How};
pub use changes_error::ChangesError;
pub use commit::Commit;
pub use creel_image::process::Overrides;
pub use error::ContainerError;
pub use exec::{ExecOptions, Started};
pub use host::{HostError, HostRoot};
pub use left::Removed;
pub use options::{Capabilities, OptionError, Options};
pub use prepare::{Base, Prepared};
pub use record::{Exit, ImageRoot, Policy, Process, Record, Root, State};
pub use remove::{Removal, Swept};
pub use run_error::RunError;
pub use running::{Ended, Running};
pub use spec::SpecError;
pub use streams::{Pipes, Stdio};
pub use trees::{Trees, TreesError};
pub use users::{Person, Users, UsersError};
pub use volume::{Volume, VolumeError, VolumeSource};
