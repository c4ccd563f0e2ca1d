//! Plan-then-apply primitives for confined processes.
#![forbid(unsafe_code)]

pub mod cgroup;
mod error;
mod join;
mod lower;
pub mod mount;
mod parent;
mod plan;

pub use error::SpawnError;
pub use join::Join;
pub use lower::Child;
pub use mount::{Device, Mount, Source};
pub use plan::{Capabilities, IdMap, Limit, MapWriter, Namespace, Plan, Process, Stdio};
