//! Writing a pack to disk while it grows, so that little is left to wait for when it is sealed.

use std::fs::File;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use creel_sys::writeback;

/// Bytes that are handed over at once: a tenth of a second of a slow disk.
const STEP: u64 = 8 << 20;
/// What is handed over ends here: a page that is still written to would go to disk twice.
const UNIT: u64 = 64 << 10;

/// Follows the writer of a file. It makes nothing durable and cannot fail: what it does not get to,
/// the flush does.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    /// Everything before has been handed over.
    begun: u64,
    /// Started with the first step, as most packs are smaller.
    thread: Option<(Sender<Range<u64>>, JoinHandle<()>)>,
}

impl Writeback {
    /// Takes note that all bytes of `file` before `end` are written, but for small objects.
    pub(super) fn written(&mut self, file: &File, end: u64) {
        let end = end - end % UNIT;
        if end.saturating_sub(self.begun) < STEP {
            return;
        }
        let range = self.begun..end;
        self.begun = end;
        if self.thread.is_none() {
            self.thread = start(file);
        }
        if let Some((ranges, _)) = &self.thread {
            // Fails only after the thread has ended on a file that cannot be written back.
            let _ = ranges.send(range);
        }
    }

    /// Takes note that the file has been cut to `end` bytes.
    pub(super) fn cut(&mut self, end: u64) {
        self.begun = self.begun.min(end - end % UNIT);
    }
}

impl Drop for Writeback {
    fn drop(&mut self) {
        if let Some((ranges, thread)) = self.thread.take() {
            drop(ranges);
            let _ = thread.join();
        }
    }
}

/// A thread of its own, because a call waits while the disk's queue is full.
fn start(file: &File) -> Option<(Sender<Range<u64>>, JoinHandle<()>)> {
    let file = file.try_clone().ok()?;
    let (sender, ranges) = channel();
    let name = thread::Builder::new().name("writeback".to_owned());
    let thread = name.spawn(move || follow(&file, &ranges)).ok()?;
    Some((sender, thread))
}

fn follow(file: &File, ranges: &Receiver<Range<u64>>) {
    for range in ranges {
        if writeback::begin(file, range).is_err() {
            return;
        }
    }
}
