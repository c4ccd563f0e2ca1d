//! A body that fails when it comes too slowly.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::client::MinRate;

/// Reads on, unless less came in some time than has to. Only the time counts that was spent waiting
/// for the other side.
pub(crate) struct Steady<R> {
    inner: R,
    slowest: MinRate,
    waited: Duration,
    bytes: u64,
}

impl<R> Steady<R> {
    pub(crate) const fn new(inner: R, slowest: MinRate) -> Self {
        Self { inner, slowest, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts a read. Each span of time stands for itself: a fast beginning excuses nothing.
    fn count(&mut self, waited: Duration, bytes: u64) -> io::Result<()> {
        self.waited = self.waited.saturating_add(waited);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.waited < self.slowest.time {
            return Ok(());
        }
        let (waited, bytes) = (self.waited.as_secs(), self.bytes);
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        match bytes < self.slowest.bytes {
            true => Err(io::Error::other(format!("only {bytes} bytes came in {waited} s"))),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for Steady<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = Instant::now();
        let read = self.inner.read(buffer)?;
        // The end may come as late as it likes.
        if read > 0 {
            self.count(before.elapsed(), read as u64)?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_of_time_counts_for_itself() {
        let second = Duration::from_secs(1);
        let slowest = MinRate { bytes: 10, time: second * 5 };
        let mut steady = Steady::new(io::empty(), slowest);
        assert!(steady.count(second * 4, 0).is_ok());
        assert!(steady.count(second * 2, 1000).is_ok());
        assert!(steady.count(second * 4, 9).is_ok());
        let error = steady.count(second, 0).unwrap_err();
        assert_eq!(error.to_string(), "only 9 bytes came in 5 s");
    }
}
