//! OCI runtime: lowers a runtime specification to a plan, starts it, and handles what runs.
//!
//! `creel run` and the OCI commands share the one lowering:
//!
//! 1. a [`spec::Spec`] is written by the manager ([`defaults`] has what every container gets) or
//!    read from a `config.json`;
//! 2. [`lower::lower`] checks it and makes a [`creel_spawn::Plan`];
//! 3. the plan is printed, or started as a [`container::Running`], which its starter waits for; any
//!    process can open it as a [`container::Container`] and start more in it.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod container;
pub mod defaults;
pub mod features;
#[doc(hidden)]
pub mod fuzz;
pub mod lifecycle;
pub mod lower;
pub mod seccomp;
pub mod spec;
pub mod stats;

#[cfg(debug_assertions)]
pub use creel_spawn::fail_at;
