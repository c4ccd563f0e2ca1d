//! Sans-IO formats: bytes in, values out, and the reverse.
//!
//! Nothing in this crate opens a file. Every reader takes explicit limits and returns a typed
//! error; none panics on any input, which the fuzz targets under `fuzz/` check.
#![forbid(unsafe_code)]

pub mod bpf;
pub mod compress;
pub mod dbus;
pub mod erofs;
pub mod layer;
pub mod listing;
pub mod tape;
pub mod tree;
