//! Writing compressed blobs.

use std::io::{self, Write};

use super::Compression;

/// Compresses what is written to it. The same bytes give the same blob, whenever and wherever the
/// same version of creel writes them: gzip headers carry neither time nor name.
pub struct Encoder<W: Write>(Inner<W>);

enum Inner<W: Write> {
    Plain(W),
    Gzip(Box<flate2::write::GzEncoder<W>>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Starts a blob at the end of `to`. gzip is at level 6, zstd at level 3 with a checksum.
    ///
    /// # Errors
    ///
    /// If there is no memory for the compressor.
    pub fn new(to: W, compression: Compression) -> io::Result<Self> {
        Ok(Self(match compression {
            Compression::Plain => Inner::Plain(to),
            Compression::Gzip => {
                let level = flate2::Compression::new(6);
                // 255: no operating system named.
                let builder = flate2::GzBuilder::new().mtime(0).operating_system(255);
                Inner::Gzip(Box::new(builder.write(to, level)))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(to, 3)?;
                encoder.include_checksum(true)?;
                Inner::Zstd(encoder)
            }
        }))
    }

    /// Ends the blob and returns what it was written to.
    ///
    /// # Errors
    ///
    /// What writing the rest fails with.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::Plain(to) => Ok(to),
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(to) => to.write(data),
            Inner::Gzip(encoder) => encoder.write(data),
            Inner::Zstd(encoder) => encoder.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::Plain(to) => to.flush(),
            Inner::Gzip(encoder) => encoder.flush(),
            Inner::Zstd(encoder) => encoder.flush(),
        }
    }
}
