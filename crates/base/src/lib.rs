//! Leaf types that every other block of creel is built on: digests, references, sizes, safe paths,
//! atomic files, locks, text that is safe to print, and the trait by which an error carries a hint.
//!
//! Nothing here knows what an image or a store is.
#![forbid(unsafe_code)]

pub mod atomic;
pub mod digest;
pub mod hint;
pub mod id;
pub mod lock;
pub mod media_type;
pub mod path;
pub mod platform;
pub mod printable;
pub mod reference;
pub mod size;
pub mod transport;
