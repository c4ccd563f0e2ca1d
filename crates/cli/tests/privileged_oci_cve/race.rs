//! Names that are swapped all the time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// How often a race is run.
pub(crate) fn rounds() -> usize {
    let told = std::env::var("CREEL_TEST_ROUNDS").ok();
    told.map_or(500, |text| text.parse().unwrap())
}

/// A thread that swaps what two names stand for.
pub(crate) struct Race {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Race {
    pub(crate) fn between(one: &Path, other: &Path) -> Self {
        let (one, other) = (one.to_owned(), other.to_owned());
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = spawn(move || {
            let mut swaps = 0;
            while !until.load(Ordering::Relaxed) {
                // It may fail while one of them is a mount point.
                let swapped = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
                swaps += u64::from(swapped.is_ok());
                if swapped.is_err() {
                    std::thread::yield_now();
                }
            }
            swaps
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends it; how often the names were swapped.
    pub(crate) fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
