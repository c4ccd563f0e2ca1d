//! Why upkeep fails.

use creel_base::hint::Hint;
use creel_store::StoreError;

use crate::images::ImageError;

/// Why a store cannot be measured, cleaned or checked.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The images cannot be listed.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for UpkeepError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}
