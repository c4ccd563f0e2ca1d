//! Operations that fail because a test wants to see what then remains. Not in a release.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(debug_assertions)]
static AT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Makes the operation of this index fail with `EIO`, in every child from now on.
#[cfg(debug_assertions)]
pub fn fail_at(index: usize) {
    AT.store(index, Ordering::Relaxed);
}

#[cfg(debug_assertions)]
pub(super) fn strikes(index: usize) -> bool {
    // In the child this is its own memory.
    index == AT.load(Ordering::Relaxed) && super::call::fail::<()>(libc::EIO).is_none()
}

#[cfg(not(debug_assertions))]
pub(super) const fn strikes(_: usize) -> bool {
    false
}
