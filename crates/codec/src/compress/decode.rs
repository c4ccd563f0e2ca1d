//! Reading compressed blobs, with a bound on what comes out.

use std::io::{self, BufRead, Read};

use super::{Compression, foreign, sniff};

/// Largest zstd window, as a power of two: 128 MiB, what `zstd --ultra` writes at most by default.
const MAX_WINDOW_LOG: u32 = 27;
/// Output that is let through before the ratio counts: short blobs of zeros are no attack.
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// What decompressing may cost. What is beyond is a [`DecodeError`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that come out.
    pub output_bytes: u64,
    /// Bytes that come out for each byte that goes in, looked at from 64 MiB of output on.
    pub ratio: u64,
}

impl Default for Limits {
    /// 1 TiB; 2000 to 1, since gzip can reach 1032 to 1 on zeros and sparse layers come near it.
    fn default() -> Self {
        Self { output_bytes: 1 << 40, ratio: 2000 }
    }
}

/// Why decompressed bytes are withheld. Comes inside an [`io::Error`] of kind `InvalidData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More comes out than allowed.
    #[error("blob decompresses to more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// So much comes out of so little that it is meant to do harm.
    #[error("blob decompresses to more than {limit} times its size")]
    Ratio {
        /// The limit.
        limit: u64,
    },
    /// It is compressed by something that creel does not read.
    #[error("blob is compressed by {format}, which creel does not read")]
    Format {
        /// The format, by the name of its program.
        format: &'static str,
    },
}

/// Reads a blob decompressed: plain, gzip of any number of members, or zstd of any number of frames.
///
/// Reading ends with an error where the blob is cut, or where a member's checksum is wrong; checks
/// that a format has at its end are done only once it is read to its end.
pub struct Decoder<R: BufRead> {
    inner: Inner<R>,
    compression: Compression,
    limits: Limits,
    output: u64,
}

enum Inner<R: BufRead> {
    Plain(Counted<R>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Counted<R>>>),
    Zstd(zstd::Decoder<'static, Counted<R>>),
}

/// Counts what is consumed.
struct Counted<R> {
    inner: R,
    input: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.input = self.input.saturating_add(read as u64);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.input = self.input.saturating_add(amount as u64);
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Decoder<R> {
    /// Starts to read `blob`, compressed as its first bytes tell ([`sniff`]).
    ///
    /// The first buffer that `blob` fills must hold 4 bytes, or all of a shorter blob, as with
    /// [`io::BufReader`] over a file; 10 for a format that is not read to be named.
    ///
    /// # Errors
    ///
    /// What reading the first bytes fails with; [`DecodeError::Format`].
    pub fn new(mut blob: R, limits: Limits) -> io::Result<Self> {
        let start = blob.fill_buf()?;
        if let Some(format) = foreign(start) {
            return Err(invalid(DecodeError::Format { format }));
        }
        let compression = sniff(start);
        Self::with(blob, compression, limits)
    }

    /// Starts to read `blob`, whose compression is known.
    ///
    /// # Errors
    ///
    /// If there is no memory for the decompressor.
    pub fn with(blob: R, compression: Compression, limits: Limits) -> io::Result<Self> {
        let blob = Counted { inner: blob, input: 0 };
        let inner = match compression {
            Compression::Plain => Inner::Plain(blob),
            Compression::Gzip => Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(blob))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(blob)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Inner::Zstd(decoder)
            }
        };
        Ok(Self { inner, compression, limits, output: 0 })
    }

    /// Returns how the blob is compressed.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    fn input(&self) -> u64 {
        match &self.inner {
            Inner::Plain(blob) => blob.input,
            Inner::Gzip(decoder) => decoder.get_ref().input,
            Inner::Zstd(decoder) => decoder.get_ref().input,
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        let Limits { output_bytes, ratio } = self.limits;
        if self.output > output_bytes {
            return Err(DecodeError::TooLarge { limit: output_bytes });
        }
        let allowed = self.input().saturating_mul(ratio).max(RATIO_FREE_BYTES);
        if self.output > allowed { Err(DecodeError::Ratio { limit: ratio }) } else { Ok(()) }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.inner {
            Inner::Plain(blob) => blob.read(buffer),
            Inner::Gzip(decoder) => decoder.read(buffer),
            Inner::Zstd(decoder) => decoder.read(buffer),
        }?;
        self.output = self.output.saturating_add(read as u64);
        self.check().map_err(invalid)?;
        Ok(read)
    }
}

fn invalid(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
