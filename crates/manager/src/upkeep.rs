//! Keeping a store in order: what it takes, what can go, and whether it is whole.

mod df;
mod error;
mod finding;
mod fsck;
mod inventory;
mod pins;
mod prune;

pub use df::{ImageUse, Part, Report};
pub use error::UpkeepError;
pub use finding::Finding;
pub use fsck::Check;
pub use pins::{Holder, Pins};
pub use prune::{Pruned, Scope};
