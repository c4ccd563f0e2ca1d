//! Counting what would be written.

use std::io;

/// Takes bytes and keeps their number only.
#[derive(Debug, Default)]
pub(crate) struct Counter(u64);

impl Counter {
    /// How many bytes came.
    pub(crate) const fn bytes(&self) -> u64 {
        self.0
    }
}

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
