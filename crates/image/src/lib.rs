//! OCI image documents, the choice of a platform, and what process an image asks for.
//!
//! Every document is hostile until read: sizes are limited, digests are checked on the bytes as
//! received, and what two readers could understand differently is refused.
#![forbid(unsafe_code)]

pub mod archive;
pub mod change;
pub mod dir;
pub mod document;
pub mod edit;
pub mod layout;
pub mod process;
pub mod select;
pub mod signal;
pub mod source;
pub mod user;
