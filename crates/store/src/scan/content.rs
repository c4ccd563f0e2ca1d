//! Contents of files that are scanned.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use creel_base::digest::{Algorithm, Hasher, ObjectId};
use creel_codec::layer::LayerSink;
use creel_codec::tree::Kind;
use rustix::fs::{SeekFrom, Stat};
use rustix::io::Errno;

use super::Scan;
use crate::error::{Result, StoreError};

/// Contents are read in pieces of this many bytes.
const PIECE: usize = 256 << 10;

impl<S: LayerSink<Error = StoreError>> Scan<'_, S> {
    /// Passes the content of a file on, at most as much as `stat` says. Holes stay holes.
    pub(super) fn content(&mut self, file: &File, stat: &Stat, path: &[u8]) -> Result<Kind> {
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let sparse = u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512) < size;
        self.buffer.resize(PIECE, 0);
        self.sink.begin(size)?;
        let mut at = 0;
        while at < size {
            let (start, end) = if sparse { extent(file, at, size) } else { (at, size) };
            if start > at {
                self.sink.hole(start - at)?;
                at = start;
            }
            while at < end {
                match self.piece(file, at, end) {
                    Ok(0) => return self.end(at),
                    Ok(read) => at += read as u64,
                    Err(Piece::Read(error)) => {
                        return Err(self.failed("read", path)(error));
                    }
                    Err(Piece::Sink(error)) => return Err(error),
                }
            }
        }
        self.end(at)
    }

    fn piece(&mut self, file: &File, at: u64, end: u64) -> core::result::Result<usize, Piece> {
        let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(self.buffer.len());
        let room = self.buffer.get_mut(..most).unwrap_or_default();
        let read = loop {
            match file.read_at(room, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Piece::Read(Errno::from_io_error(&error).unwrap_or(Errno::IO)));
                }
                Ok(read) => break read,
            }
        };
        self.sink.data(room.get(..read).unwrap_or_default()).map_err(Piece::Sink)?;
        Ok(read)
    }

    fn end(&mut self, size: u64) -> Result<Kind> {
        Ok(Kind::File { size, object: self.sink.end()? })
    }
}

enum Piece {
    Read(Errno),
    Sink(StoreError),
}

/// The next part of a file, from `at` on, that is not a hole, and where it ends; both at most
/// `size`. A file system that cannot tell says that all is data.
fn extent(file: &File, at: u64, size: u64) -> (u64, u64) {
    let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => start.clamp(at, size),
        Err(Errno::NXIO) => size,
        Err(_) => at,
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(size);
    // Whatever changes meanwhile, every step goes on.
    (start, if end > start { end.min(size) } else { size })
}

/// Names contents and keeps none.
#[derive(Default)]
pub(super) struct Names(Option<Hasher>);

const ZEROS: [u8; 4096] = [0; 4096];

impl Names {
    fn hasher(&mut self) -> &mut Hasher {
        self.0.get_or_insert_with(|| Hasher::new(Algorithm::Sha256))
    }
}

impl LayerSink for Names {
    type Error = StoreError;

    fn begin(&mut self, _size: u64) -> Result<()> {
        self.0 = None;
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<()> {
        self.hasher().update(data);
        Ok(())
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let part = left.min(ZEROS.len() as u64);
            self.hasher().update(ZEROS.get(..part as usize).unwrap_or_default());
            left -= part;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<ObjectId> {
        self.hasher();
        let sum = self.0.take().map(Hasher::finish);
        sum.and_then(|sum| ObjectId::try_from(sum).ok())
            .ok_or(StoreError::OutOfOrder { reason: "object hash is not sha256" })
    }

    fn verbatim(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}
