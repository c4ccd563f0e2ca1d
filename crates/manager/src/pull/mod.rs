//! Bringing images into the store.

pub(crate) mod unpack;

pub use unpack::UnpackError;
