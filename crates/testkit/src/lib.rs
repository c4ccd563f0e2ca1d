//! Test hosts, registries, images and archives for creel's own tests

pub mod registry;
