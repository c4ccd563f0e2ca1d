//! Layer archives: tar in, tree out, and the reverse.
//!
//! The reader is strict where readers differ, because an archive that two tools understand in two
//! ways is how content gets past a check. What it takes and refuses is listed at [`LayerReader`] and
//! [`LayerError`].

mod build;
mod encode;
mod error;
mod field;
mod header;
mod limits;
mod member;
mod names;
mod pax;
mod reader;
mod sparse;

pub use encode::{END, EncodeError, member, padding};
pub use error::{LayerError, SinkError};
pub use limits::Limits;
pub use reader::{LayerReader, LayerSink};
