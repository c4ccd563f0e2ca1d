//! From the compressed bytes of a layer to its tree: inflating beside hashing and writing.

use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use creel_base::digest::Digest;
use creel_base::hint::Hint;
use creel_codec::compress::{self, Decoder};
use creel_codec::layer;
use creel_image::source::VerifyError;
use creel_store::{Layer, LayerWriter, Owners, StoreError, Transaction};

use super::error::of_io;
use super::origin::OriginError;

/// Bytes of compressed input that are read at once.
const INPUT: usize = 256 << 10;
/// Bytes that pass from the inflating to the writing thread at once: large enough that waking costs
/// nothing, small enough to stay in a shared cache.
const PIECE: usize = 256 << 10;
/// Pieces under way: with them, a layer takes 2 MiB of memory whatever its size.
const PIECES: usize = 8;

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The compressed bytes do not come, are not those described, or do not decompress.
    #[error("cannot read the layer")]
    Read(#[source] io::Error),
    /// The source does not give it.
    #[error(transparent)]
    Origin(OriginError),
    /// What comes out is refused, or cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for UnpackError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read(source) => of_io(source),
            Self::Origin(source) => source.hint(),
            Self::Store(source) => source.hint(),
        }
    }
}

/// What a layer was unpacked to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unpacked {
    pub(crate) layer: Layer,
    /// Bytes of the tar.
    pub(crate) size: u64,
}

/// Unpacks a layer, compressed as its first bytes tell.
///
/// `blob` is read to its end, and may fail there if it was not what it should have been: nothing is
/// recorded then. `compressed` are digests by which the layer is to be known, `diff_id` is checked.
/// Where there is one, `blob` is somebody's description of it and ends: what cannot be unpacked is
/// read on, to know whether it is what was described.
pub(crate) fn unpack(
    transaction: &Transaction<'_>,
    owners: Owners,
    blob: &mut (dyn Read + Send),
    diff_id: Option<Digest>,
    compressed: &[Digest],
) -> Result<Unpacked, UnpackError> {
    let mut writer = transaction.layer(layer::Limits::default(), owners)?;
    let mut blob = Blob { inner: blob, over: false };
    let (full, pieces) = sync_channel(PIECES);
    let (empty, used) = channel();
    let (read, written) = thread::scope(|scope| {
        let source = &mut blob;
        let reading = scope.spawn(move || inflate(source, &full, &used));
        let written = write(&mut writer, &pieces, &empty);
        // A reader that waits for room sees that nobody is left to take its pieces.
        drop(pieces);
        let read = reading.join().unwrap_or_else(|_| Err(io::Error::other("reading panicked")));
        (read, written)
    });
    let size = match (written, read) {
        (Ok(size), Ok(())) => size,
        (written, read) => return Err(failure(written.err(), read.err(), &mut blob, diff_id)),
    };
    let layer = writer.finish(diff_id, compressed)?;
    Ok(Unpacked { layer, size })
}

/// Passes a blob on, and knows whether there is more to be had.
struct Blob<'a> {
    inner: &'a mut (dyn Read + Send),
    /// Set when it has ended or failed.
    over: bool,
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        self.over = match &read {
            Ok(read) => *read == 0 && !buffer.is_empty(),
            Err(error) => error.kind() != io::ErrorKind::Interrupted,
        };
        read
    }
}

/// Why a blob is not unpacked. That it is not what was described comes first: then whoever serves it
/// is to blame for all that follows, and not whoever made it.
fn failure(
    written: Option<StoreError>,
    read: Option<io::Error>,
    blob: &mut Blob<'_>,
    described: Option<Digest>,
) -> UnpackError {
    let altered =
        |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<VerifyError>());
    let rest = match &written {
        // A store that fails says nothing about the blob.
        None | Some(StoreError::Layer { .. }) if described.is_some() && !blob.over => {
            io::copy(blob, &mut io::sink()).err()
        }
        _ => None,
    };
    match (written, read, rest) {
        (_, Some(error), _) | (_, _, Some(error)) if altered(&error) => UnpackError::Read(error),
        // Then the reader has only been cut off.
        (Some(error), ..) => UnpackError::Store(error),
        (None, Some(error), _) | (None, None, Some(error)) => UnpackError::Read(error),
        (None, None, None) => UnpackError::Read(io::ErrorKind::Other.into()),
    }
}

/// Inflates all of a blob into pieces, and reads it to its very end.
fn inflate(
    blob: &mut Blob<'_>,
    full: &SyncSender<Vec<u8>>,
    used: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    let input = BufReader::with_capacity(INPUT, &mut *blob);
    let mut decoder = Decoder::new(input, compress::Limits::default())?;
    loop {
        let mut piece = used.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let length = fill(&mut decoder, &mut piece)?;
        piece.truncate(length);
        if length == 0 {
            break;
        }
        if full.send(piece).is_err() {
            return Ok(());
        }
    }
    drop(decoder);
    // What follows the compressed stream is part of the blob, and its end is where it is verified.
    io::copy(blob, &mut io::sink()).map(drop)
}

/// Reads until the buffer is full or the input ends.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match from.read(room) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn write(
    writer: &mut LayerWriter<'_>,
    pieces: &Receiver<Vec<u8>>,
    empty: &std::sync::mpsc::Sender<Vec<u8>>,
) -> Result<u64, StoreError> {
    let mut size = 0_u64;
    for piece in pieces {
        writer.feed(&piece)?;
        size = size.saturating_add(piece.len() as u64);
        // The reader may have ended.
        let _ = empty.send(piece);
    }
    Ok(size)
}
