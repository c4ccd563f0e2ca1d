//! Contents on their way into the store, whatever the backend.

use creel_base::digest::ObjectId;
use creel_codec::layer::LayerSink;
use creel_codec::tree::Tree;

use crate::checkout::Owners;
use crate::error::{Result, StoreError};
use crate::pack::writer::PackWriter;
use crate::transaction::Transaction;

/// Takes the contents of one tree. Dropped before [`Ingest::finish`], it leaves nothing behind.
pub(crate) enum Ingest {
    Packed(Box<PackWriter>),
}

impl Ingest {
    /// `owners` tells whose the files of a loose store are.
    pub(crate) fn new(transaction: &Transaction<'_>, _owners: Owners) -> Result<Self> {
        Ok(Self::Packed(Box::new(transaction.pack()?)))
    }

    /// Stores the tree of which all contents have come; durable on return.
    pub(crate) fn finish(self, transaction: &Transaction<'_>, tree: &Tree) -> Result<ObjectId> {
        let Self::Packed(pack) = self;
        transaction.seal(*pack)?;
        transaction.put_tree(tree)
    }
}

impl LayerSink for Ingest {
    type Error = StoreError;

    fn begin(&mut self, _size: u64) -> Result<()> {
        let Self::Packed(pack) = self;
        pack.begin()
    }

    fn data(&mut self, data: &[u8]) -> Result<()> {
        let Self::Packed(pack) = self;
        pack.data(data)
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        let Self::Packed(pack) = self;
        pack.hole(length)
    }

    fn end(&mut self) -> Result<ObjectId> {
        let Self::Packed(pack) = self;
        pack.end()
    }

    fn verbatim(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}
