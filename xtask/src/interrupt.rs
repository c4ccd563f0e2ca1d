//! Ctrl-C and SIGTERM become errors, so that every guard on the way out cleans up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::bail;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static HAPPENED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Starts to take note of the signals.
pub(crate) fn watch() -> anyhow::Result<()> {
    let flag = HAPPENED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// Tells whether one of them came.
pub(crate) fn happened() -> bool {
    HAPPENED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Fails when one of them came.
pub(crate) fn check() -> anyhow::Result<()> {
    if happened() {
        bail!("interrupted");
    }
    Ok(())
}
