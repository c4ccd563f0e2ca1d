//! Descriptors that a caller hands through.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::error::LifecycleError;

/// The most that are handed through: what a process can be started with besides the standard ones.
const MAX: u32 = 125;

/// The descriptors of this process from 3 on, so many; `own` is one that is for nobody else.
///
/// # Errors
/// [`LifecycleError::Descriptor`] names one that is not there.
pub fn preserved(count: u32, own: Option<i32>) -> Result<Vec<Arc<OwnedFd>>, LifecycleError> {
    let error = |number, source| LifecycleError::Descriptor { number, source };
    if count > MAX {
        return Err(error(count.saturating_add(2), io::ErrorKind::InvalidInput.into()));
    }
    let one = |number: u32| {
        let signed = i32::try_from(number).ok().filter(|number| Some(*number) != own);
        let made =
            signed.map_or_else(|| Err(io::ErrorKind::NotFound.into()), creel_spawn::inherited);
        made.map(Arc::new).map_err(|source| error(number, source))
    };
    (3..3 + count).map(one).collect()
}
