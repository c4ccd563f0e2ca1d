//! Reading trees, and the files in them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_base::path::{Dir, OFlags, Scope};
use creel_codec::listing;
use creel_codec::tree::{Entry, Kind, Tree};

use crate::config::Backend;
use crate::error::{Result, StoreError};
use crate::objects::same;
use crate::store::{LISTING_LIMIT, Store};

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

/// Where the contents of some trees are read from.
pub(crate) enum Contents<'a> {
    /// By their names.
    Packed(&'a Store),
    /// In checkouts: number of the checkout, and path there.
    Loose(Vec<Dir>, HashMap<ObjectId, (usize, Box<[u8]>)>),
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
        let Some(entry @ Entry { kind: Kind::File { object, .. }, .. }) = entries.inode(found)
        else {
            return Err(missing("it is no regular file"));
        };
        match self.description().backend {
            Backend::Packed => Contents::Packed(self).open(entry),
            Backend::Loose => {
                let place = HashMap::from([(*object, (0, entry.path.clone()))]);
                Contents::Loose(vec![Dir::open(self.directory(tree)?)?], place).open(entry)
            }
        }
    }

    /// Opens what holds the contents of trees.
    pub(crate) fn contents(&self, trees: &[ObjectId]) -> Result<Contents<'_>> {
        if self.description().backend == Backend::Packed {
            return Ok(Contents::Packed(self));
        }
        let (mut dirs, mut places) = (Vec::new(), HashMap::new());
        for tree in trees {
            let number = dirs.len();
            dirs.push(Dir::open(self.directory(tree)?)?);
            for entry in self.tree(tree)?.entries {
                if let Kind::File { object, .. } = entry.kind {
                    places.entry(object).or_insert((number, entry.path));
                }
            }
        }
        Ok(Contents::Loose(dirs, places))
    }
}

impl Contents<'_> {
    /// Opens the content of an entry, which is the one that holds a regular file's inode.
    pub(crate) fn open(&self, entry: &Entry) -> Result<FileReader> {
        let Kind::File { size, object } = entry.kind else {
            let reason = "it is no regular file";
            return Err(StoreError::NoFile { path: entry.path.clone(), reason });
        };
        self.open_object(&object, size)
    }

    /// Opens an object, which is of `size` bytes.
    pub(crate) fn open_object(&self, object: &ObjectId, size: u64) -> Result<FileReader> {
        if size == 0 {
            return FileReader::new(None, 0, 0, *object);
        }
        let missing = || StoreError::NoObject { id: *object };
        match self {
            Self::Packed(store) => {
                let at = store.locate(object)?.ok_or_else(missing)?;
                if at.logical != size {
                    return Err(StoreError::WrongSize { id: *object });
                }
                FileReader::new(Some(store.objects.pack(at.pack)?), at.offset, size, *object)
            }
            Self::Loose(dirs, places) => {
                let (number, path) = places.get(object).ok_or_else(missing)?;
                let dir = dirs.get(*number).ok_or_else(missing)?;
                let file = Arc::new(open_plain(dir, path)?);
                FileReader::new(Some(file), 0, size, *object)
            }
        }
    }
}

/// Opens a file of a checkout for reading: what is no regular file any more is not waited for.
pub(crate) fn open_plain(dir: &Dir, path: &[u8]) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(dir.open_within(Path::new(OsStr::from_bytes(path)), Scope::NoLinks, flags)?)
}

impl FileReader {
    pub(crate) fn new(
        file: Option<Arc<File>>,
        at: u64,
        size: u64,
        object: ObjectId,
    ) -> Result<Self> {
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

/// The listing of a tree, and its name.
pub(crate) fn encode_tree(tree: &Tree) -> Result<(ObjectId, Vec<u8>)> {
    let invalid = |source| StoreError::Listing { source: Box::new(source) };
    let listing = listing::encode(tree).map_err(invalid)?;
    if listing.len() as u64 > LISTING_LIMIT {
        return Err(StoreError::TooLarge { what: "listing" });
    }
    Ok((listing::id(&listing), listing))
}
