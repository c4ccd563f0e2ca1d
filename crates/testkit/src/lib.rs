//! Test hosts, registries, images and archives for creel's own tests
#![forbid(unsafe_code)]

pub mod busybox;
mod cpio;
pub mod docker_registry;
pub mod guest;
pub mod image;
pub mod peers;
pub mod random;
pub mod registry;
pub mod tar;
