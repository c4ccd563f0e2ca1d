//! Downloads that stopped half-way.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use creel_base::digest::{Digest, Hasher};

use crate::error::{Result, StoreError};
use crate::fault;
use crate::lock::{self, Kind, Lock, Wait};
use crate::recipe::digest_name;
use crate::store::Store;

/// A download under way. One process at a time holds it; the others wait and find what it left.
#[derive(Debug)]
pub struct Partial<'a> {
    store: &'a Store,
    name: String,
    path: PathBuf,
    file: File,
    length: u64,
    hasher: Hasher,
    _lock: Lock,
}

impl Store {
    /// Takes the download of a blob; `None` when another process has it and `wait` says not to wait.
    ///
    /// What is there already is read once, to continue the hash.
    pub fn partial(&self, digest: &Digest, wait: Wait) -> Result<Option<Partial<'_>>> {
        self.writable()?;
        let name = digest_name(digest);
        let path = self.partial.path_of(&name);
        let Some(lock) = lock::take(&self.partial, &name, Kind::Exclusive, wait)? else {
            return Ok(None);
        };
        let missing = || StoreError::io("open", &path)(std::io::ErrorKind::NotFound.into());
        let mut file = self.partial.open_file_rw(&name)?.ok_or_else(missing)?;
        let mut hasher = Hasher::new(digest.algorithm());
        let length = hash_file(&mut file, &mut hasher).map_err(StoreError::io("read", &path))?;
        Ok(Some(Partial { store: self, name, path, file, length, hasher, _lock: lock }))
    }

    /// Removes the unfinished downloads that no process is at; returns how many.
    pub fn remove_partials(&self) -> Result<u64> {
        self.writable()?;
        let mut removed = 0;
        for name in self.partial.names()? {
            let name = String::from_utf8_lossy(&name);
            if let Some(_lock) = lock::take(&self.partial, &name, Kind::Exclusive, Wait::No)? {
                removed += u64::from(self.partial.remove(&*name)?);
            }
        }
        Ok(removed)
    }
}

impl Partial<'_> {
    /// How many bytes are there: where to resume.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        fault::step()
            .and_then(|()| self.file.write_all(bytes))
            .map_err(StoreError::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets all bytes, as when the server does not resume or they turned out wrong.
    pub fn restart(&mut self, digest: &Digest) -> Result<()> {
        fault::step()
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.rewind())
            .map_err(StoreError::io("empty", &self.path))?;
        self.hasher = Hasher::new(digest.algorithm());
        self.length = 0;
        Ok(())
    }

    /// What the bytes so far hash to.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Opens what is there for reading, from its beginning.
    pub fn reader(&self) -> Result<File> {
        let missing = || StoreError::io("open", &self.path)(std::io::ErrorKind::NotFound.into());
        self.store.partial.open_file(&self.name)?.ok_or_else(missing)
    }

    /// Removes the download, whether it ended well or is given up.
    pub fn remove(self) -> Result<()> {
        self.store.partial.remove(&self.name).map(drop)
    }
}

fn hash_file(file: &mut File, hasher: &mut Hasher) -> std::io::Result<u64> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return file.seek(SeekFrom::End(0)),
            length => hasher.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}
