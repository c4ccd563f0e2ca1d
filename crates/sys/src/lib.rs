//! Safe wrappers for the kernel calls that rustix lacks.
//!
//! The one crate with `unsafe`: each block proves what it relies on.
// The workspace denies it everywhere else.
#![allow(unsafe_code)]

pub mod access;
pub mod bpf;
pub mod inherited;
pub mod landlock;
pub mod lock;
pub mod loop_device;
pub mod mount;
pub mod namespace;
pub mod program;
pub mod selfexe;
pub mod signals;
pub mod userns;
pub mod writeback;
