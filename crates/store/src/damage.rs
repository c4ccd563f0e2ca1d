//! Telling damage to a store from trouble of the machine that reads it.

use std::error::Error;
use std::io;

use crate::error::{Result, StoreError};
use crate::store::Store;

impl StoreError {
    /// Tells whether what the store holds is to blame: a file that is missing, too short, or not
    /// what its name or its format says.
    ///
    /// All else, as descriptors or memory that ran out, missing rights and a disk that cannot be
    /// read, says nothing about the store: nothing may be dropped for it.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. }
            | Self::DigestMismatch { .. }
            | Self::Listing { .. }
            | Self::NoBlob { .. }
            | Self::NoLayer { .. }
            | Self::NoObject { .. }
            | Self::NoPack { .. }
            | Self::NoTape { .. }
            | Self::NoTree { .. }
            | Self::WrongSize { .. } => true,
            Self::Io { source, .. } | Self::Read { source, .. } => is_content(source),
            Self::Tape { source, .. } => is_content(&**source),
            _ => false,
        }
    }
}

/// Tells whether an error is of what was read, and not of the reading.
fn is_content(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && (error.raw_os_error().is_some() || error.kind() == io::ErrorKind::OutOfMemory)
        {
            return false;
        }
        // What an `io::Error` wraps is not its source, but what that wraps is.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    true
}

/// Turns damage into `None`, and leaves other errors.
pub(crate) fn unless_damaged<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the first of these stores has that has it whole.
pub(crate) fn first_whole<T>(
    stores: &[Store],
    get: impl Fn(&Store) -> Result<T>,
) -> Result<Option<T>> {
    for store in stores {
        if let Some(value) = unless_damaged(get(store))? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn trouble_of_the_machine_is_no_damage() {
        let failed = |error: io::Error| StoreError::io("read", Path::new("x"))(error);
        let errno = |number| io::Error::from_raw_os_error(number);
        for number in [5, 12, 13, 24] {
            assert!(!failed(errno(number)).is_damage());
            assert!(!failed(io::Error::other(errno(number))).is_damage());
        }
        assert!(failed(io::ErrorKind::UnexpectedEof.into()).is_damage());
        assert!(failed(io::Error::other("wrong bits")).is_damage());
        assert!(StoreError::damaged(Path::new("x"), "it is").is_damage());
    }
}
