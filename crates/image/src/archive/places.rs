//! Where in an archive the contents of its files are.

use std::convert::Infallible;

use creel_base::digest::ObjectId;
use creel_codec::layer::LayerSink;

/// Takes note of where each file's content starts. Contents are not hashed: the ids it gives out are
/// numbers.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Bytes of the archive so far.
    position: u64,
    /// Starts and lengths; `None` for what is not in one piece.
    files: Vec<Option<(u64, u64)>>,
    current: Option<(u64, u64)>,
}

impl Places {
    /// Returns the place of a file by the id it was given.
    pub(super) fn of(&self, id: &ObjectId) -> Option<(u64, u64)> {
        let number = id.0.first_chunk::<8>().copied().map(u64::from_ne_bytes)?;
        *self.files.get(usize::try_from(number).ok()?)?
    }
}

impl LayerSink for Places {
    type Error = Infallible;

    fn begin(&mut self, size: u64) -> Result<(), Infallible> {
        self.current = Some((self.position, size));
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Infallible> {
        self.position = self.position.saturating_add(data.len() as u64);
        Ok(())
    }

    fn hole(&mut self, _: u64) -> Result<(), Infallible> {
        self.current = None;
        Ok(())
    }

    fn end(&mut self) -> Result<ObjectId, Infallible> {
        let mut id = ObjectId::default();
        for (byte, number) in id.0.iter_mut().zip((self.files.len() as u64).to_ne_bytes()) {
            *byte = number;
        }
        self.files.push(self.current.take());
        Ok(id)
    }

    fn verbatim(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.position = self.position.saturating_add(bytes.len() as u64);
        Ok(())
    }
}
