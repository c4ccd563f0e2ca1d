//! Fault injection: every step that changes the disk passes here first.
//!
//! In tests, the step that [`inject`] chose fails as on a full disk, and so does every later one on
//! the same thread, which also makes a stand-in for a process killed at that point: nothing it does
//! afterwards, clean-up included, reaches the disk.

use std::io;

/// Passes unless a test has chosen this step to fail.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
std::thread_local! {
    static LEFT: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// Passes unless a test has chosen this step to fail.
#[cfg(test)]
pub(crate) fn step() -> io::Result<()> {
    LEFT.with(|left| match left.get() {
        None => Ok(()),
        Some(0) => Err(io::Error::from_raw_os_error(28)),
        Some(steps) => {
            left.set(Some(steps - 1));
            Ok(())
        }
    })
}

/// Lets `steps` steps of this thread pass and fails all after them; `None` lets all pass.
#[cfg(test)]
pub(crate) fn inject(steps: Option<u64>) {
    LEFT.with(|left| left.set(steps));
}
