//! Commands of the host, confined.
#![forbid(unsafe_code)]

pub mod policy;
