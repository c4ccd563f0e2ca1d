//! Containers and images as objects: what the command line is a face of.
//!
//! Gives the store's blobs their OCI meaning and composes the blocks below. Knows no argv and no
//! terminal, and reads no environment: [`Settings`] carry what depends on them.
#![forbid(unsafe_code)]

pub mod containers;
mod counter;
pub mod doctor;
mod engine;
pub mod identity;
pub mod images;
pub mod import;
pub mod login;
pub mod progress;
pub mod pull;
pub mod push;
pub mod trees;
pub mod upkeep;

pub use creel_registry::certs::CertSources;
pub use creel_registry::client::Proxies;
pub use creel_registry::{Config, credentials};
pub use creel_store::{Mode as StoreCheck, Owners, Store};
pub use creel_sys::selfexe;
pub use creel_sys::signals::Signals;
pub use engine::{Engine, EngineError, Privileges, Settings};
