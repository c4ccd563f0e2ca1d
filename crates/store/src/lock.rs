//! The store's locks, in terms of its own directories and errors.

use creel_base::lock::LockError;
pub use creel_base::lock::Wait;
pub(crate) use creel_base::lock::{Kind, Lock};

use crate::dir::Dir;
use crate::error::Result;

/// Takes a lock on a file, which is made where it is missing; `None` when it is held by another
/// and the wait is over.
pub(crate) fn take(dir: &Dir, name: &str, kind: Kind, wait: Wait) -> Result<Option<Lock>> {
    match Lock::take(&dir.to_base()?, name, kind, wait) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
