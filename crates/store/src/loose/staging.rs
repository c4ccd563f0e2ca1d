//! Contents that wait for their tree: files under numbers, until it is known where each belongs.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use creel_base::digest::{Algorithm, Hasher, ObjectId};
use creel_base::path::{Dir, IfExists, Mode};
use creel_codec::layer::LayerSink;
use creel_codec::tree::Tree;

use super::known::Known;
use super::place::Placer;
use super::{checkout_name, marks};
use crate::checkout::{Owners, Purpose, Writer};
use crate::contents::{FileReader, encode_tree, open_plain};
use crate::error::{Result, StoreError};
use crate::fault;
use crate::store::Store;

/// Contents of at most this many bytes become files only once it is known that they are new.
const HEAD: u64 = 64 << 10;
const ZEROS: [u8; 4096] = [0; 4096];

/// The contents of one tree. Dropped before [`Staging::finish`], it leaves nothing behind.
pub(crate) struct Staging {
    above: Dir,
    /// Name of the directory of the files; the root being made has one more letter.
    name: String,
    pub(super) dir: Dir,
    /// Each content that came, and the number that is its file's name.
    pub(super) files: HashMap<ObjectId, u64>,
    current: Option<Current>,
    pub(super) owners: Owners,
}

/// The content being written.
struct Current {
    hasher: Hasher,
    /// All of it, while it is small.
    head: Vec<u8>,
    file: Option<File>,
    size: u64,
}

impl Staging {
    pub(crate) fn new(store: &Store, owners: Owners) -> Result<Self> {
        let above = store.checkouts.to_base()?;
        let name = String::from_utf8_lossy(&store.checkouts.temporary()?).into_owned();
        step(&above)?;
        above.mkdir(&name, Mode::RWXU)?;
        let dir = above.open_dir(&name)?;
        Ok(Self { above, name, dir, files: HashMap::new(), current: None, owners })
    }

    /// Adds bytes to the content, and to the hash of the archive that they are in.
    pub(crate) fn data_of_archive(
        &mut self,
        data: &[u8],
        archive: Option<&mut Hasher>,
    ) -> Result<()> {
        match (&mut self.current, archive) {
            (Some(current), Some(archive)) => current.hasher.update_both(archive, data),
            (Some(current), None) => current.hasher.update(data),
            // What follows refuses it.
            (None, _) => {}
        }
        self.grow(data.len() as u64, Some(data))
    }

    /// Stores the tree of which all contents have come, or are in other checkouts; durable on return.
    pub(crate) fn finish(mut self, store: &Store, tree: &Tree) -> Result<ObjectId> {
        if self.current.is_some() {
            return Err(StoreError::OutOfOrder { reason: "sealed inside an object" });
        }
        let (id, listing) = encode_tree(tree)?;
        if !store.has_checkout(&id, self.owners)? {
            self.make(store, tree, &id)?;
        }
        // Last: a checkout without its listing is garbage.
        if store.listing(&id).is_err() {
            store.trees.replace(id.hex(), &listing)?;
        }
        Ok(id)
    }

    /// Makes the checkout and gives it its name.
    fn make(&mut self, store: &Store, tree: &Tree, id: &ObjectId) -> Result<()> {
        let name = checkout_name(id, self.owners);
        let mut known = Known::search(store, tree, self.owners)?;
        if let Owners::Mapped(_) = self.owners {
            known.add_original(store, tree, id)?;
        }
        let cloning = self.can_clone()?;
        let (root, above) = (self.root(), self.above.try_clone()?);
        step(&above)?;
        above.mkdir(&root, Mode::RWXU)?;
        let writer =
            Writer { tree, owners: self.owners, overlay: marks(), purpose: Purpose::Layer };
        let mut placer = Placer::new(above.open_dir(&root)?, known, self, cloning);
        writer.write(&mut placer, &above, &root)?;
        step(&self.above)?;
        self.above.sync_file_system()?;
        step(&self.above)?;
        match self.above.rename(root.as_ref(), Path::new(&name), IfExists::Replace) {
            // Another process was faster. Whatever has this name was complete when it got it.
            Err(error) if error.is_already_exists() || is_full(&error) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(self.above.sync()?),
        }
    }

    /// Opens a content that has come.
    pub(crate) fn open(&self, object: &ObjectId, size: u64) -> Result<FileReader> {
        let number = self.files.get(object).ok_or(StoreError::NoObject { id: *object })?;
        let file = open_plain(&self.dir, number.to_string().as_bytes())?;
        FileReader::new(Some(Arc::new(file)), 0, size, *object)
    }

    fn root(&self) -> String {
        format!("{}r", self.name)
    }

    /// Tries whether files can share content without being the same file.
    fn can_clone(&self) -> Result<bool> {
        let from = self.dir.create_new("from", Mode::RUSR | Mode::WUSR)?;
        let to = self.dir.create_new("to", Mode::RUSR | Mode::WUSR)?;
        from.write_all_at(&ZEROS, 0).map_err(StoreError::io("write", self.dir.path()))?;
        Ok(rustix::fs::ioctl_ficlone(to.as_fd(), from.as_fd()).is_ok())
    }

    fn create(&self) -> Result<File> {
        step(&self.dir)?;
        Ok(self.dir.create_new(self.number().to_string(), Mode::RUSR | Mode::WUSR)?)
    }

    /// The number of the content being written.
    fn number(&self) -> u64 {
        self.files.len() as u64
    }

    fn current(&mut self) -> Result<Current> {
        self.current.take().ok_or(StoreError::OutOfOrder { reason: "no object has begun" })
    }

    /// Adds bytes, or with `None` that many zeros that need not be written.
    fn grow(&mut self, length: u64, bytes: Option<&[u8]>) -> Result<()> {
        let mut current = self.current()?;
        let at = current.size;
        let size = at.checked_add(length).filter(|size| *size <= i64::MAX as u64);
        current.size = size.ok_or(StoreError::TooLarge { what: "object" })?;
        if current.file.is_none() && current.size > HEAD {
            let file = self.create()?;
            self.write(&file, &current.head, 0)?;
            current.head = Vec::new();
            current.file = Some(file);
        }
        match (&current.file, bytes) {
            (Some(file), Some(bytes)) => self.write(file, bytes, at)?,
            (Some(_), None) => {}
            (None, Some(bytes)) => current.head.extend_from_slice(bytes),
            (None, None) => current.head.resize(current.size as usize, 0),
        }
        self.current = Some(current);
        Ok(())
    }

    fn write(&self, file: &File, bytes: &[u8], at: u64) -> Result<()> {
        fault::step()
            .and_then(|()| file.write_all_at(bytes, at))
            .map_err(StoreError::io("write", self.dir.path()))
    }
}

/// ENOTEMPTY, as which some file systems tell that a directory is there.
fn is_full(error: &creel_base::path::PathError) -> bool {
    error.kind() == std::io::ErrorKind::DirectoryNotEmpty
}

/// Passes unless a test has chosen this step to fail.
pub(super) fn step(dir: &Dir) -> Result<()> {
    fault::step().map_err(StoreError::io("change", dir.path()))
}

impl LayerSink for Staging {
    type Error = StoreError;

    fn begin(&mut self, _size: u64) -> Result<()> {
        if self.current.is_some() {
            return Err(StoreError::OutOfOrder { reason: "the last object has not ended" });
        }
        let hasher = Hasher::new(Algorithm::Sha256);
        self.current = Some(Current { hasher, head: Vec::new(), file: None, size: 0 });
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<()> {
        self.data_of_archive(data, None)
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        if let Some(current) = &mut self.current {
            let mut left = length;
            while left > 0 {
                let part = left.min(ZEROS.len() as u64);
                current.hasher.update(ZEROS.get(..part as usize).unwrap_or_default());
                left -= part;
            }
        }
        self.grow(length, None)
    }

    fn end(&mut self) -> Result<ObjectId> {
        let current = self.current()?;
        let id = ObjectId::try_from(current.hasher.finish())
            .map_err(|_| StoreError::OutOfOrder { reason: "object hash is not sha256" })?;
        if self.files.contains_key(&id) {
            if current.file.is_some() {
                step(&self.dir)?;
                self.dir.unlink(self.number().to_string())?;
            }
            return Ok(id);
        }
        match current.file {
            Some(file) => {
                file.set_len(current.size).map_err(StoreError::io("write", self.dir.path()))?;
            }
            None if current.size > 0 => self.write(&self.create()?, &current.head, 0)?,
            // Every empty file is made on its own.
            None => return Ok(id),
        }
        self.files.insert(id, self.number());
        Ok(id)
    }

    fn verbatim(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays behind after a failure is garbage that collection removes.
        for name in [self.name.clone(), self.root()] {
            if fault::step().is_ok() {
                let _ = self.above.remove_all(Path::new(OsStr::from_bytes(name.as_bytes())));
            }
        }
    }
}
