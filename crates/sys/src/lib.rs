//! Safe wrappers for the kernel calls that rustix lacks, and for instructions of the processor.
//!
//! The one crate with `unsafe`: each block proves what it relies on.
// The workspace denies it everywhere else.
#![allow(unsafe_code)]

pub mod access;
pub mod lock;
pub mod loop_device;
pub mod mount;
pub mod program;
pub mod selfexe;
pub mod sha256;
pub mod signals;
pub mod userns;
pub mod writeback;
