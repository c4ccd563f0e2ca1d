//! Trees as people name and read them: of images, of single layers, or by id.

mod checkout;
mod compare;
mod error;
mod lookup;
mod open;
mod row;
mod text;

pub use checkout::{CheckedOut, IfExists};
pub use compare::{Aspect, ChangeKind, Difference, compare};
pub use error::TreesError;
pub use lookup::lookup;
pub use open::View;
pub use row::{Row, rows};
pub use text::{PathText, text};
