//! Contents on their way into the store, whatever the backend.

use creel_base::digest::{Hasher, ObjectId};
use creel_codec::layer::LayerSink;
use creel_codec::tree::Tree;

use crate::checkout::Owners;
use crate::config::Backend;
use crate::error::{Result, StoreError};
use crate::loose::staging::Staging;
use crate::pack::writer::PackWriter;
use crate::transaction::Transaction;

/// Takes the contents of one tree. Dropped before [`Ingest::finish`], it leaves nothing behind.
pub(crate) enum Ingest {
    Packed(Box<PackWriter>),
    Loose(Box<Staging>),
}

impl Ingest {
    /// `owners` tells whose the files of a loose store are.
    pub(crate) fn new(transaction: &Transaction<'_>, owners: Owners) -> Result<Self> {
        let store = transaction.store();
        Ok(match store.description().backend {
            Backend::Packed => Self::Packed(Box::new(transaction.pack()?)),
            Backend::Loose => Self::Loose(Box::new(Staging::new(store, owners)?)),
        })
    }

    /// Adds bytes to the content, and to the hash of the archive that they are in.
    pub(crate) fn data_of_archive(
        &mut self,
        data: &[u8],
        archive: Option<&mut Hasher>,
    ) -> Result<()> {
        match self {
            Self::Packed(pack) => pack.data_of_archive(data, archive),
            Self::Loose(staging) => staging.data_of_archive(data, archive),
        }
    }

    /// Stores the tree of which all contents have come; durable on return.
    pub(crate) fn finish(self, transaction: &Transaction<'_>, tree: &Tree) -> Result<ObjectId> {
        match self {
            Self::Packed(pack) => {
                transaction.seal(*pack)?;
                transaction.put_listing(tree)
            }
            Self::Loose(staging) => staging.finish(transaction.store(), tree),
        }
    }
}

impl LayerSink for Ingest {
    type Error = StoreError;

    fn begin(&mut self, size: u64) -> Result<()> {
        match self {
            Self::Packed(pack) => pack.begin(),
            Self::Loose(staging) => staging.begin(size),
        }
    }

    fn data(&mut self, data: &[u8]) -> Result<()> {
        self.data_of_archive(data, None)
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        match self {
            Self::Packed(pack) => pack.hole(length),
            Self::Loose(staging) => staging.hole(length),
        }
    }

    fn end(&mut self) -> Result<ObjectId> {
        match self {
            Self::Packed(pack) => pack.end(),
            Self::Loose(staging) => staging.end(),
        }
    }

    fn verbatim(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}
