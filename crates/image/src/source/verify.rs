//! Reading a blob while checking that it is the one described.

use std::io::{self, Read};

use creel_base::digest::{Digest, Hasher};

use crate::document::Descriptor;

/// Why a blob is not the one described; within an [`io::Error`] of the kind `InvalidData`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// There are more bytes than the descriptor says.
    #[error("blob `{digest}` has more than the {size} bytes of its descriptor")]
    TooLong {
        /// The blob.
        digest: Digest,
        /// Bytes by the descriptor.
        size: u64,
    },
    /// There are fewer bytes than the descriptor says.
    #[error("blob `{digest}` ends {missing} bytes before the end that its descriptor gives")]
    TooShort {
        /// The blob.
        digest: Digest,
        /// Bytes that are not there.
        missing: u64,
    },
    /// The bytes are others.
    #[error("blob has the digest `{found}` instead of `{expected}`")]
    Digest {
        /// The digest by the descriptor.
        expected: Digest,
        /// The digest of the bytes.
        found: Box<Digest>,
    },
}

/// Passes a blob on, and fails instead of ending where it is not the one described.
///
/// The size is enforced while reading, so that an endless blob ends at its size plus one buffer.
#[derive(Debug)]
pub struct VerifyReader<R> {
    inner: R,
    /// `None` once the end was checked.
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    left: u64,
}

impl<R: Read> VerifyReader<R> {
    /// Checks what `inner` gives against a descriptor.
    pub fn new(inner: R, descriptor: &Descriptor) -> Self {
        Self {
            inner,
            hasher: Some(Hasher::new(descriptor.digest.algorithm())),
            digest: descriptor.digest,
            size: descriptor.size,
            left: descriptor.size,
        }
    }

    fn end(&mut self) -> Result<(), VerifyError> {
        if self.left > 0 {
            return Err(VerifyError::TooShort { digest: self.digest, missing: self.left });
        }
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let found = hasher.finish();
        if found == self.digest {
            return Ok(());
        }
        // Reading on after the error must not look like a good end.
        self.left = u64::MAX;
        Err(VerifyError::Digest { expected: self.digest, found: Box::new(found) })
    }
}

impl<R: Read> Read for VerifyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            return self.end().map(|()| 0).map_err(invalid);
        }
        let left = self.left.checked_sub(count as u64);
        let (Some(left), Some(bytes)) = (left, buffer.get(..count)) else {
            return Err(invalid(VerifyError::TooLong { digest: self.digest, size: self.size }));
        };
        self.left = left;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        Ok(count)
    }
}

fn invalid(error: VerifyError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use creel_base::media_type::MediaType;

    fn read(content: &[u8], described: &[u8], size: u64) -> io::Result<Vec<u8>> {
        let mut descriptor = Descriptor::of(MediaType::Empty, described);
        descriptor.size = size;
        let mut out = Vec::new();
        VerifyReader::new(content, &descriptor).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn passes_only_what_is_described() {
        assert_eq!(read(b"abc", b"abc", 3).unwrap(), b"abc");
        assert_eq!(read(b"", b"", 0).unwrap(), b"");
        for (content, size) in [(&b"abd"[..], 3), (b"ab", 3), (b"abcd", 3), (b"abc", 4), (b"", 0)] {
            let error = read(content, b"abc", size).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn stops_an_endless_blob() {
        let descriptor = Descriptor::of(MediaType::Empty, b"abc");
        let mut reader = VerifyReader::new(io::repeat(0), &descriptor);
        assert!(io::copy(&mut reader, &mut io::sink()).is_err());
    }

    #[test]
    fn stays_failed() {
        let descriptor = Descriptor::of(MediaType::Empty, b"abc");
        let mut reader = VerifyReader::new(&b"abd"[..], &descriptor);
        let mut buffer = [0; 8];
        assert_eq!(reader.read(&mut buffer).unwrap(), 3);
        assert!(reader.read(&mut buffer).is_err());
        assert!(reader.read(&mut buffer).is_err());
    }
}
