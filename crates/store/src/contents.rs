//! Reading trees, and the files in them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_codec::listing;
use creel_codec::tree::{Entry, Kind, Tree};

use crate::error::{Result, StoreError};
use crate::objects::same;
use crate::store::Store;

/// Contents are read in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

/// The content of a file, read once from its beginning and checked on the way.
///
/// The read that reaches the end fails where the content does not hash to its name, so what was
/// read before is not to be trusted until then. After an error nothing more comes.
#[derive(Debug)]
pub struct FileReader {
    file: Option<Arc<File>>,
    /// Where the next byte is in `file`.
    at: u64,
    left: u64,
    hasher: Hasher,
    object: ObjectId,
}

/// Where the contents of one tree's files are read from.
pub(crate) struct Contents<'a> {
    store: &'a Store,
}

impl Store {
    /// Reads a tree, checked against its id.
    pub fn tree(&self, id: &ObjectId) -> Result<Tree> {
        let invalid = |source| StoreError::Listing { source: Box::new(source) };
        listing::decode(&self.listing(id)?, &listing::Limits::default()).map_err(invalid)
    }

    /// Opens a regular file of a tree. No symbolic link is followed.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoFile`] where the tree has nothing, or no regular file, at the path.
    pub fn open_file(&self, tree: &ObjectId, path: &[u8]) -> Result<FileReader> {
        let entries = self.tree(tree)?;
        let missing = |reason| StoreError::NoFile { path: path.into(), reason };
        let found = entries.find(path).ok_or_else(|| missing("the tree has no such name"))?;
        match entries.inode(found) {
            Some(entry @ Entry { kind: Kind::File { .. }, .. }) => self.contents(tree)?.open(entry),
            _ => Err(missing("it is no regular file")),
        }
    }

    /// Opens what holds the contents of a tree.
    pub(crate) fn contents(&self, _tree: &ObjectId) -> Result<Contents<'_>> {
        Ok(Contents { store: self })
    }
}

impl Contents<'_> {
    /// Opens the content of an entry, which is the one that holds a regular file's inode.
    pub(crate) fn open(&self, entry: &Entry) -> Result<FileReader> {
        let Kind::File { size, object } = entry.kind else {
            let reason = "it is no regular file";
            return Err(StoreError::NoFile { path: entry.path.clone(), reason });
        };
        if size == 0 {
            return FileReader::new(None, 0, 0, object);
        }
        let at = self.store.locate(&object)?.ok_or(StoreError::NoObject { id: object })?;
        if at.logical != size {
            return Err(StoreError::WrongSize { id: object });
        }
        FileReader::new(Some(self.store.objects.pack(at.pack)?), at.offset, size, object)
    }
}

impl FileReader {
    fn new(file: Option<Arc<File>>, at: u64, size: u64, object: ObjectId) -> Result<Self> {
        let hasher = Hasher::new(Algorithm::Sha256);
        let reader = Self { file, at, left: size, hasher, object };
        if size == 0 { reader.check().map(|()| reader) } else { Ok(reader) }
    }

    /// Bytes still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Passes what is left to `each`, piece by piece.
    pub(crate) fn for_each(mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; self.left.min(PIECE) as usize];
        while self.left > 0 {
            match self.read_some(&mut buffer) {
                Ok(read) => each(buffer.get(..read).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> StoreError {
        match error.downcast::<StoreError>() {
            Ok(error) => error,
            Err(source) => StoreError::Read { object: self.object, source },
        }
    }

    fn check(&self) -> Result<()> {
        same(&Digest::from(self.object), self.hasher.clone().finish())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let (Some(file), Some(buffer)) = (&self.file, buffer.get_mut(..wanted)) else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = file.read_at(buffer, self.at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.at = self.at.saturating_add(read as u64);
        self.left -= read as u64;
        if self.left == 0 {
            self.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Ok(read)
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_some(buffer);
        match &read {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => self.file = None,
            _ => {}
        }
        read
    }
}
