//! Programs of the host, confined: bubblewrap-style sandboxes.
//!
//! A [`Sandbox`] says what the program gets: a root that is empty at first and changed step by step, new
//! namespaces, an identity, capabilities. [`Sandbox::plan`] checks it and makes it a list of kernel calls;
//! [`Plan::start`] runs that in one child, without privileges where the kernel has user namespaces.
//!
//! [`line`] reads bubblewrap's command line; [`probe`] finds out what the host permits. A [`jail`] is the same
//! as minijail has it, with its [`policy`] for system calls.
#![forbid(unsafe_code)]

mod check;
mod error;
pub mod jail;
pub mod line;
mod lower;
pub mod policy;
pub mod probe;
mod run;
mod sandbox;
mod terminal;

pub use check::Conflict;
pub use creel_sys::access::{effective_capabilities, is_elevated};
pub use creel_sys::inherited::{close_all_but, take};
pub use creel_sys::signals::{Signals, die_with_parent, notice_children};
pub use creel_sys::userns::ids;
pub use error::{FilterError, SandboxError};
pub use lower::Step;
pub use run::{Announcement, Plan, Started, usual_capabilities};
pub use sandbox::{
    Access, Capabilities, Change, Directory, Filter, Identity, Lifetime, Namespaces, Program,
    Sandbox, Upper, Wanted,
};

/// Makes this process the leader of a group.
///
/// # Errors
/// `EPERM` in the leader of a session.
pub fn join_group() -> std::io::Result<()> {
    Ok(rustix::process::setpgid(None, None)?)
}
