//! OCI distribution client (specification 1.1.1): authentication, mirrors, ranges, resume, push.
//!
//! Blocking; share a [`client::Client`] between threads. Nothing here reads the environment: search
//! paths and proxies come in through configuration. Every answer of a registry is hostile: documents
//! are bounded, sizes and digests checked while reading, and credentials never follow a redirect.
#![forbid(unsafe_code)]

pub mod auth;
pub mod certs;
pub mod client;
pub mod credentials;
pub mod error;
pub mod http;
pub mod registries;
mod steady;
mod ureq_transport;
pub mod url;

pub use client::{Client, Config, Repository};
pub use error::Error;
