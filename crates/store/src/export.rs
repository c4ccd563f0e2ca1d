//! Writing trees as layer archives.

use std::io::{self, Write};

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_codec::layer;
use creel_codec::tree::Kind;

use crate::error::{Result, StoreError};
use crate::store::Store;

/// Zeros that fill a last block.
const ZEROS: [u8; 512] = [0; 512];

impl Store {
    /// Writes a tree as a layer's tar, the same bytes whenever and wherever, and returns their
    /// sha256: the diff id. Contents are checked on the way, so on an error what was written is
    /// worthless. Read as a layer, it gives the tree again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Encode`] for an entry that an archive cannot hold, [`StoreError::Output`] when
    /// `out` fails, and those of reading.
    pub fn write_layer(&self, tree: &ObjectId, out: &mut dyn Write) -> Result<Digest> {
        let _lease = self.reader_lease()?;
        let mut out = Output::new(out, Algorithm::Sha256);
        self.write_tree(tree, &mut out)?;
        out.finish()
    }

    pub(crate) fn write_tree(&self, tree: &ObjectId, out: &mut Output<'_>) -> Result<()> {
        let entries = self.tree(tree)?;
        let contents = self.contents(&[*tree])?;
        for (index, entry) in entries.entries.iter().enumerate() {
            let head = layer::member(&entries, index)
                .map_err(|source| StoreError::Encode { source: Box::new(source) })?;
            out.write(&head)?;
            if let Kind::File { size, .. } = entry.kind {
                contents.open(entry)?.for_each(|piece| out.write(piece))?;
                out.write(ZEROS.get(..layer::padding(size)).unwrap_or_default())?;
            }
        }
        out.write(&layer::END)
    }
}

/// Hashes what it passes on.
pub(crate) struct Output<'a> {
    inner: &'a mut dyn Write,
    hasher: Hasher,
}

impl<'a> Output<'a> {
    pub(crate) fn new(inner: &'a mut dyn Write, algorithm: Algorithm) -> Self {
        Self { inner, hasher: Hasher::new(algorithm) }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes).map_err(failed)
    }

    /// The digest of all that was written.
    pub(crate) fn finish(self) -> Result<Digest> {
        self.inner.flush().map_err(failed)?;
        Ok(self.hasher.finish())
    }
}

fn failed(source: io::Error) -> StoreError {
    StoreError::Output { source }
}
