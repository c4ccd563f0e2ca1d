//! Why upkeep fails.

use creel_base::hint::Hint;
use creel_store::StoreError;

use crate::EngineError;
use crate::containers::{ContainerError, TreesError};
use crate::images::ImageError;

/// Why a store cannot be measured, cleaned or checked.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The store does not open.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The images cannot be listed.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A container cannot be read, so that nobody knows what it uses.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A mount of a tree cannot be let go.
    #[error(transparent)]
    Trees(#[from] TreesError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for UpkeepError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Container(error) => error.hint(),
            Self::Trees(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}
