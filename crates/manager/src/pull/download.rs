//! A layer's compressed bytes: what an earlier attempt left, then the rest, kept as it comes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use creel_base::digest::Digest;
use creel_image::document::Descriptor;
use creel_image::source::VerifyError;
use creel_store::{Partial, Result as StoreResult};

use super::origin::Origin;
use crate::progress::{Event, Progress};

/// What the parts of a pull have in common.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    /// Set when one part has failed: the others end then.
    pub(super) stop: &'a AtomicBool,
    pub(super) progress: &'a dyn Progress,
}

/// Another part of the pull has failed.
#[derive(Debug, thiserror::Error)]
#[error("stopped, because another layer has failed")]
struct Stopped;

impl Watch<'_> {
    fn advanced(&self, layer: Digest, bytes: usize) -> io::Result<()> {
        self.progress.event(&Event::Advanced { layer, bytes: bytes as u64 });
        match self.stop.load(Ordering::Relaxed) {
            true => Err(io::Error::other(Stopped)),
            false => Ok(()),
        }
    }
}

/// Passes a blob on that is verified by its reader.
pub(super) struct Watched<'a> {
    pub(super) inner: Box<dyn Read + Send + 'a>,
    pub(super) layer: Digest,
    pub(super) watch: Watch<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.watch.advanced(self.layer, read)?;
        Ok(read)
    }
}

/// A download that is kept while it comes, so that it can be resumed. Fails at its end where it is
/// not what was described.
pub(super) struct Download<'a, 'p, 's> {
    origin: &'a dyn Origin,
    descriptor: &'a Descriptor,
    watch: Watch<'a>,
    partial: &'p mut Partial<'s>,
    /// What an earlier attempt left, until it has been read.
    earlier: Option<io::Take<File>>,
    rest: Option<Box<dyn Read + Send + 'a>>,
}

impl<'a, 'p, 's> Download<'a, 'p, 's> {
    pub(super) fn new(
        origin: &'a dyn Origin,
        descriptor: &'a Descriptor,
        watch: Watch<'a>,
        partial: &'p mut Partial<'s>,
    ) -> StoreResult<Self> {
        if partial.length() > descriptor.size {
            partial.restart(&descriptor.digest)?;
        }
        let length = partial.length();
        let earlier = match length {
            0 => None,
            length => Some(partial.reader()?.take(length)),
        };
        Ok(Self { origin, descriptor, watch, partial, earlier, rest: None })
    }

    fn read_earlier(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.earlier else { return Ok(0) };
        let read = file.read(buffer)?;
        if read == 0 {
            self.earlier = None;
        }
        Ok(read)
    }

    fn read_rest(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = match &mut self.rest {
            Some(rest) => rest,
            None => {
                let blob = self.origin.blob(self.descriptor, self.partial.length());
                self.rest.insert(blob.map_err(io::Error::other)?)
            }
        };
        let read = rest.read(buffer)?;
        let new = buffer.get(..read).unwrap_or_default();
        self.partial.append(new).map_err(io::Error::other)?;
        Ok(read)
    }

    fn check(&self) -> Result<(), VerifyError> {
        let (expected, size) = (self.descriptor.digest, self.descriptor.size);
        let missing = size.saturating_sub(self.partial.length());
        if missing > 0 {
            return Err(VerifyError::TooShort { digest: expected, missing });
        }
        let found = self.partial.digest();
        if found == expected {
            return Ok(());
        }
        Err(VerifyError::Digest { expected, found: Box::new(found) })
    }
}

impl Read for Download<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = match self.read_earlier(buffer)? {
            0 if self.partial.length() < self.descriptor.size => self.read_rest(buffer)?,
            read => read,
        };
        if read == 0 {
            self.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        self.watch.advanced(self.descriptor.digest, read)?;
        Ok(read)
    }
}
