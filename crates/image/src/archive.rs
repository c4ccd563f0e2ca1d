//! Archives of images: a tar that is looked into by name, and what Docker puts there.
//!
//! Read by the same reader as layers, so that names mean the same everywhere and nothing is taken
//! from an archive whose entries contradict one another. Links are followed within the archive only.

mod docker;
mod error;
mod places;
mod sink;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_codec::compress::{self, Compression, Decoder};
use creel_codec::layer::{LayerReader, Limits};
use creel_codec::tree::{Kind, Tree};

pub use docker::{DockerArchive, DockerImage};
pub use error::ArchiveError;
use places::Places;
pub use sink::ArchiveSink;

/// Bytes read at once.
const PIECE: usize = 1 << 20;
/// Links followed from one name.
const MAX_LINKS: usize = 8;
/// Most entries: an image has a few files a layer.
const MAX_ENTRIES: u32 = 1 << 20;

/// A tar whose files can be read in any order.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: Arc<File>,
    tree: Tree,
    places: Places,
}

/// A file in an archive.
#[derive(Debug)]
pub struct Member {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Member {
    /// Returns how many bytes are left to read.
    pub const fn left(&self) -> u64 {
        self.left
    }
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match buffer.get_mut(..room) {
            Some(buffer) => self.file.read_at(buffer, self.at)?,
            None => 0,
        };
        self.at = self.at.saturating_add(read as u64);
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

impl Archive {
    /// Opens an archive in a file. One that is compressed is written out to what `spool` gives, an
    /// empty file that can be read and written.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(
        path: &Path,
        spool: impl FnOnce() -> io::Result<File>,
    ) -> Result<Self, ArchiveError> {
        let failed = |source| ArchiveError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut start = [0; 10];
        let length = file.read_at(&mut start, 0).map_err(failed)?;
        let start = start.get(..length).unwrap_or_default();
        match compress::sniff(start) {
            Compression::Plain if compress::foreign(start).is_none() => Self::index(file, path),
            // What is not read is refused there.
            _ => Self::from_stream(file, path, spool),
        }
    }

    /// Reads an archive that comes as a stream, plain or compressed; `path` is for messages.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn from_stream(
        stream: impl Read,
        path: &Path,
        spool: impl FnOnce() -> io::Result<File>,
    ) -> Result<Self, ArchiveError> {
        let spooled = || {
            let mut file = spool()?;
            let stream = BufReader::with_capacity(PIECE, stream);
            io::copy(&mut Decoder::new(stream, compress::Limits::default())?, &mut file)?;
            file.flush()?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        };
        let file = spooled().map_err(|source| ArchiveError::Spool { source })?;
        Self::index(file, path)
    }

    fn index(mut file: File, path: &Path) -> Result<Self, ArchiveError> {
        let refused = |source| ArchiveError::Tar { path: path.to_owned(), source };
        let limits = Limits { entries: MAX_ENTRIES, ..Limits::default() };
        let (mut reader, mut places) = (LayerReader::new(limits), Places::default());
        let mut buffer = vec![0; PIECE];
        loop {
            let read = file.read(&mut buffer);
            let read =
                read.map_err(|source| ArchiveError::Open { path: path.to_owned(), source })?;
            match buffer.get(..read).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => reader.feed(bytes, &mut places).map_err(refused)?,
                None => break,
            }
        }
        let tree = reader.finish(&mut places).map_err(refused)?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), tree, places })
    }

    /// Returns where the archive came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file by its name in the archive.
    ///
    /// # Errors
    /// [`ArchiveError::NoFile`].
    pub fn file(&self, name: &str) -> Result<Member, ArchiveError> {
        let none = || ArchiveError::NoFile { name: name.chars().take(256).collect() };
        let mut place = normal(name.as_bytes());
        for _ in 0..MAX_LINKS {
            let found = self.tree.find(&place).ok_or_else(none)?;
            match self.tree.inode(found).map(|entry| &entry.kind) {
                Some(Kind::File { object, .. }) => {
                    let (at, left) = self.places.of(object).ok_or_else(none)?;
                    return Ok(Member { file: Arc::clone(&self.file), at, left });
                }
                Some(Kind::Symlink { target }) if !target.starts_with(b"/") => {
                    let above = place.rsplitn(2, |byte| *byte == b'/').nth(1).unwrap_or_default();
                    place = normal(&[above, b"/", target].concat());
                }
                _ => return Err(none()),
            }
        }
        Err(none())
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`ArchiveError::NoFile`] and [`ArchiveError::TooLarge`].
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut file = self.file(name)?;
        if file.left() > limit {
            return Err(ArchiveError::TooLarge { name: name.to_owned(), limit });
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content)
            .map_err(|source| ArchiveError::Open { path: self.path.clone(), source })?;
        Ok(content)
    }
}

/// A path as trees have it: no empty parts, no `.`, and `..` taken back, at most to the root.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}
