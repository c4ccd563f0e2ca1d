//! Content-addressed store for file system trees.
//!
//! Contents are objects named by their sha256 and kept in packs; trees are listings of them; blobs
//! are opaque documents; references name trees and blobs. `docs/formats/store.md` has the layout.
#![forbid(unsafe_code)]

mod checkout;
mod config;
mod contents;
mod damage;
mod dir;
mod error;
mod export;
mod fault;
mod fsck;
mod gc;
mod ids;
mod image;
mod image_check;
mod index_check;
mod ingest;
mod layer;
mod layout;
mod lock;
mod loose;
mod mend;
mod mount;
mod names;
mod objects;
mod open;
mod pack;
mod partial;
mod recipe;
mod reference_check;
mod scan;
mod stack;
mod store;
mod tape;
mod transaction;
mod usage;

pub use checkout::Owners;
pub use config::{Access, Backend, Description, FORMAT};
pub use contents::FileReader;
pub use error::{Result, StoreError};
pub use fsck::{Difference, Mode, Problem};
pub use gc::{Collected, References};
pub use ids::{IdRange, Ids};
pub use image::Image;
pub use layer::{Layer, LayerWriter};
pub use lock::Wait;
pub use mend::Mended;
pub use mount::{Backing, KernelProbe};
pub use open::Probe;
pub use pack::writer::PackWriter;
pub use pack::{BLOCK, INLINE_LIMIT, Location, PackId};
pub use partial::Partial;
pub use recipe::Recipe;
pub use scan::{Origin, scan};
pub use stack::chain_ids;
pub use store::{BLOB_LIMIT, Kept, LISTING_LIMIT, Store};
pub use transaction::Transaction;
pub use usage::{Amount, Usage};

#[cfg(test)]
mod tests;
