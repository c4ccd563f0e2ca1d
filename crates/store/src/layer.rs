//! Taking a layer in: a tar streams in, a tree in the store comes out, whatever the backend.

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_codec::layer::{LayerError, LayerReader, Limits};

use crate::checkout::Owners;
use crate::error::{Result, StoreError};
use crate::ingest::Ingest;
use crate::objects::same;
use crate::recipe::Recipe;
use crate::transaction::Transaction;

/// A layer that is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// sha256 of its tar.
    pub diff_id: Digest,
    /// The tree of its changes.
    pub tree: ObjectId,
}

/// A layer being unpacked. Dropped before [`LayerWriter::finish`], it leaves nothing behind.
pub struct LayerWriter<'a> {
    transaction: &'a Transaction<'a>,
    reader: LayerReader,
    contents: Ingest,
    /// Of all bytes fed; `None` where the caller hashes them.
    hasher: Option<Hasher>,
}

impl Transaction<'_> {
    /// Begins to unpack a layer's tar. Several layers may be unpacked side by side, from several
    /// threads.
    ///
    /// `owners` matters only in a loose store, where contents become files at once.
    pub fn layer(&self, limits: Limits, owners: Owners) -> Result<LayerWriter<'_>> {
        Ok(LayerWriter {
            transaction: self,
            reader: LayerReader::new(limits),
            contents: Ingest::new(self, owners)?,
            hasher: Some(Hasher::new(Algorithm::Sha256)),
        })
    }
}

impl LayerWriter<'_> {
    /// Leaves it to the caller to hash what it feeds, as on another thread:
    /// [`LayerWriter::finish`] then takes the diff id on trust.
    pub fn hashed_by_caller(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// Reads the next bytes of the uncompressed tar, in pieces of any size.
    ///
    /// # Errors
    ///
    /// [`StoreError::Layer`] for an archive that is refused, and those of writing. After one, the
    /// writer is of no use.
    pub fn feed(&mut self, tar: &[u8]) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(tar);
        }
        self.reader.feed(tar, &mut self.contents).map_err(refused)
    }

    /// Ends the archive. Contents, listing and recipe are durable on return.
    ///
    /// `diff_id` is the sha256 of all bytes fed: checked, or taken on trust after
    /// [`LayerWriter::hashed_by_caller`]. `None` leaves it to the writer. `compressed` are digests
    /// under which the layer is known in compressed form; they join those of its recipe.
    ///
    /// # Errors
    ///
    /// As [`LayerWriter::feed`]; [`StoreError::DigestMismatch`] for another `diff_id`;
    /// [`StoreError::OutOfOrder`] where neither side has hashed.
    pub fn finish(self, diff_id: Option<Digest>, compressed: &[Digest]) -> Result<Layer> {
        let Self { transaction, reader, mut contents, hasher } = self;
        let tree = reader.finish(&mut contents).map_err(refused)?;
        let found = hasher.map(Hasher::finish);
        if let (Some(expected), Some(found)) = (diff_id, found) {
            same(&expected, found)?;
        }
        let diff_id = diff_id.or(found);
        let diff_id =
            diff_id.ok_or(StoreError::OutOfOrder { reason: "no one hashed the layer" })?;
        let tree = contents.finish(transaction, &tree)?;
        transaction.record_layer(&diff_id, tree, compressed)?;
        Ok(Layer { diff_id, tree })
    }
}

impl Transaction<'_> {
    /// Adds digests under which a layer is known in compressed form.
    ///
    /// Of two processes that do so at once, one may undo what the other added: then the layer is
    /// sent or fetched once more.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoLayer`] for a layer that has no recipe.
    pub fn know_layer(&self, diff_id: &Digest, compressed: &[Digest]) -> Result<()> {
        let recipe = self.store().recipe(diff_id)?;
        let recipe = recipe.ok_or_else(|| StoreError::NoLayer { diff_id: Box::new(*diff_id) })?;
        self.record_layer(diff_id, recipe.tree, compressed)
    }

    /// Records that the layer with this diff id unpacks to a tree that is in the store, as after
    /// [`crate::Store::write_layer`]. `compressed` digests join those known already.
    pub fn record_layer(
        &self,
        diff_id: &Digest,
        tree: ObjectId,
        compressed: &[Digest],
    ) -> Result<()> {
        // A damaged recipe is replaced.
        let known = self.store().recipe(diff_id).ok().flatten();
        let mut all = known.as_ref().map(|known| known.compressed.clone()).unwrap_or_default();
        for digest in compressed {
            if !all.contains(digest) {
                all.push(*digest);
            }
        }
        let recipe = Recipe { tree, compressed: all, verified: true };
        if known.as_ref() == Some(&recipe) { Ok(()) } else { self.put_recipe(diff_id, &recipe) }
    }
}

/// Tells an archive that is refused from a store that failed.
fn refused(error: LayerError) -> StoreError {
    match error {
        LayerError::Sink(source) => match source.downcast::<StoreError>() {
            Ok(error) => *error,
            Err(source) => StoreError::Layer { source: Box::new(LayerError::Sink(source)) },
        },
        error => StoreError::Layer { source: Box::new(error) },
    }
}
