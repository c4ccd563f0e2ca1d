//! Sandboxes as root and as a user, by `creel sandbox` and under the name `bwrap`.
//!
//! Tests run as root, which becomes a user where it is one that matters.
#![allow(clippy::unwrap_used)] // in the helpers of tests

mod escape;
mod files;
mod lifetime;
mod rights;
mod world;
