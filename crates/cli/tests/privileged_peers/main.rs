//! creel and the other tools read one another's images, and engines run containers on it; needs root
//! and `./x peers`.
#![allow(clippy::unwrap_used, clippy::panic)] // in the helpers of tests

mod engines;
mod jail;
mod reading;
mod trees;
mod world;
mod writing;
