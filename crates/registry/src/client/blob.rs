//! Blob downloads that survive broken connections.

use std::io::{self, Read};

use creel_base::digest::{Digest, Hasher};

use super::Repository;
use super::exchange::Call;
use super::manifest::MAX_CONFIG;
use crate::error::Error;
use crate::http::{Method, Response};

/// Most times one download goes on after a break, progress or not.
const MAX_RESUMES: u32 = 100;

/// The bytes of a blob from an offset on; goes on by range when the connection breaks or stalls.
///
/// Never yields more than the descriptor's size. The digest is not checked here: a caller that
/// resumes has hashed the first part already; see [`VerifyingReader`].
pub struct BlobReader {
    repository: Repository,
    digest: Digest,
    size: u64,
    offset: u64,
    body: Option<Box<dyn Read + Send>>,
    /// Failures since the last byte came.
    failures: u32,
    resumes: u32,
}

impl Repository {
    /// Opens a blob of `size` bytes at `offset`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownBlob`], [`Error::WrongRange`], [`Error::WrongSize`] and those of the exchange.
    pub fn blob(&self, digest: Digest, size: u64, offset: u64) -> Result<BlobReader, Error> {
        let mut reader = BlobReader {
            repository: self.clone(),
            digest,
            size,
            offset,
            body: None,
            failures: 0,
            resumes: 0,
        };
        if offset < size {
            reader.body = Some(reader.open()?);
        }
        Ok(reader)
    }

    /// Fetches and verifies a small blob, such as a config.
    ///
    /// # Errors
    ///
    /// [`Error::TooBig`] beyond [`MAX_CONFIG`], and those of [`Self::blob`] and [`VerifyingReader`].
    pub fn small_blob(&self, digest: Digest, size: u64) -> Result<Vec<u8>, Error> {
        let host = self.registry.clone();
        if size > MAX_CONFIG {
            return Err(Error::TooBig { host, what: "config", limit: MAX_CONFIG });
        }
        let mut bytes = Vec::new();
        VerifyingReader::new(self.blob(digest, size, 0)?, digest, size)
            .read_to_end(&mut bytes)
            .map_err(|e| {
                Error::from_io(e).unwrap_or_else(|source| Error::Broken { host, source })
            })?;
        Ok(bytes)
    }
}

impl BlobReader {
    /// Returns the position in the blob, in bytes.
    pub const fn position(&self) -> u64 {
        self.offset
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, Error> {
        let repository = &self.repository;
        let url = repository.url(&format!("blobs/{}", self.digest))?;
        let mut call = Call::new(Method::Get, url, repository.pull_scope(), "a blob request");
        if self.offset > 0 {
            call = call.header("range", format!("bytes={}-", self.offset));
        }
        let response = repository.send(&call)?;
        match response.status {
            200 => self.whole(response),
            206 if self.offset > 0 => self.part(response),
            416 | 206 => Err(self.wrong_range(&response)),
            404 => Err(Error::UnknownBlob {
                registry: repository.registry.clone(),
                digest: self.digest,
            }),
            _ => Err(repository.refusal(&call, response)),
        }
    }

    /// Takes a whole blob, skipping what is there already.
    fn whole(&self, response: Response) -> Result<Box<dyn Read + Send>, Error> {
        if let Some(found) = length(&response)
            && found != self.size
        {
            return Err(self.wrong_size(found));
        }
        let mut body = response.body;
        let skipped = io::copy(&mut body.by_ref().take(self.offset), &mut io::sink());
        let host = || self.repository.registry.clone();
        match skipped {
            Ok(skipped) if skipped == self.offset => Ok(body),
            Ok(_) => {
                Err(Error::Broken { host: host(), source: io::ErrorKind::UnexpectedEof.into() })
            }
            Err(source) => Err(Error::Broken { host: host(), source }),
        }
    }

    fn part(&self, response: Response) -> Result<Box<dyn Read + Send>, Error> {
        let range = response.header("content-range").and_then(parse_range);
        let last = self.size.saturating_sub(1);
        match range {
            Some((first, end, total))
                if first == self.offset && end == last && total.is_none_or(|t| t == self.size) =>
            {
                Ok(response.body)
            }
            _ => Err(self.wrong_range(&response)),
        }
    }

    fn wrong_range(&self, response: &Response) -> Error {
        Error::WrongRange {
            host: self.repository.registry.clone(),
            digest: self.digest.into(),
            asked: self.offset,
            got: response.header("content-range").unwrap_or("nothing").chars().take(100).collect(),
        }
    }

    const fn wrong_size(&self, found: u64) -> Error {
        Error::WrongSize { digest: self.digest, expected: self.size, found }
    }

    /// Decides what a failed read means: another try, or the end.
    fn failed(&mut self, error: Error) -> Result<(), Error> {
        self.body = None;
        let policy = self.repository.client.0.config.retry;
        let spent = self.failures >= policy.attempts || self.resumes >= MAX_RESUMES;
        if spent || !error.is_transient() {
            return Err(error);
        }
        self.repository.pause(self.failures, None);
        self.failures += 1;
        self.resumes += 1;
        Ok(())
    }

    fn read_error(&self, source: io::Error) -> Error {
        let host = self.repository.registry.clone();
        let seconds = self.repository.client.0.config.stall_timeout.as_secs();
        match source.kind() {
            io::ErrorKind::TimedOut => Error::Stalled { host, seconds },
            _ => Error::Broken { host, source },
        }
    }

    fn attempt(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => self.open()?,
        };
        let read = body.read(buffer);
        self.body = Some(body);
        match read {
            Ok(0) => Err(self.read_error(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => Ok(read),
            Err(error) => Err(self.read_error(error)),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..room).filter(|b| !b.is_empty()) else { return Ok(0) };
        loop {
            match self.attempt(buffer) {
                Ok(read) => {
                    self.offset += read as u64;
                    self.failures = 0;
                    return Ok(read);
                }
                Err(error) => self.failed(error).map_err(Error::into_io)?,
            }
        }
    }
}

fn length(response: &Response) -> Option<u64> {
    response.header("content-length")?.parse().ok()
}

/// Reads `bytes FIRST-LAST/TOTAL` (RFC 9110 §14.4); a total of `*` is `None`.
fn parse_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, total))
}

/// Passes bytes on and fails at the end unless size and digest are right.
pub struct VerifyingReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    seen: u64,
}

impl<R: Read> VerifyingReader<R> {
    /// Checks a blob from its first byte.
    pub fn new(inner: R, digest: Digest, size: u64) -> Self {
        Self::resume(inner, digest, size, Hasher::new(digest.algorithm()), 0)
    }

    /// Checks a blob whose first `seen` bytes are in `hasher` already.
    pub const fn resume(inner: R, digest: Digest, size: u64, hasher: Hasher, seen: u64) -> Self {
        Self { inner, hasher: Some(hasher), digest, size, seen }
    }

    fn end(&mut self) -> io::Result<usize> {
        let Some(hasher) = self.hasher.take() else { return Ok(0) };
        let (expected, found) = (self.size, self.seen);
        if found != expected {
            return Err(Error::WrongSize { digest: self.digest, expected, found }.into_io());
        }
        let found = hasher.finish();
        if found != self.digest {
            let (expected, found, size) = (self.digest.into(), found.into(), self.seen);
            return Err(Error::WrongDigest { expected, found, size }.into_io());
        }
        Ok(0)
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(buffer)?;
        if read == 0 {
            return self.end();
        }
        self.seen = self.seen.saturating_add(read as u64);
        if self.seen > self.size {
            return self.end();
        }
        if let (Some(hasher), Some(bytes)) = (&mut self.hasher, buffer.get(..read)) {
            hasher.update(bytes);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_exactly() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((5, 9, None)));
        for bad in ["bytes */10", "5-9/10", "bytes 5-/10", "bytes -1-9/10", "bytes 5-9/x"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn altered_and_wrong_sized_blobs_fail() {
        let digest = Digest::sha256(b"hello");
        for (data, good) in
            [(&b"hello"[..], true), (b"hellO", false), (b"hell", false), (b"hello!", false)]
        {
            let read = VerifyingReader::new(data, digest, 5).read_to_end(&mut Vec::new());
            assert_eq!(read.is_ok(), good, "{data:?}");
        }
    }
}
