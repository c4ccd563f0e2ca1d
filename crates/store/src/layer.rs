//! Taking a layer in: a tar streams in, a tree in the store comes out, whatever the backend.

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_codec::layer::{LayerError, LayerReader, LayerSink, Limits};
use creel_codec::tree::Tree;

use crate::checkout::Owners;
use crate::contents::Contents;
use crate::error::{Result, StoreError};
use crate::ingest::Ingest;
use crate::objects::same;
use crate::recipe::Recipe;
use crate::tape::Recording;
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
    sink: Sink<'a>,
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
            sink: Sink {
                contents: Ingest::new(self, owners)?,
                tape: Recording::new(self.store())?,
                hasher: Some(Hasher::new(Algorithm::Sha256)),
            },
        })
    }
}

impl LayerWriter<'_> {
    /// Leaves it to the caller to hash what it feeds, as on another thread:
    /// [`LayerWriter::finish`] then takes the diff id on trust.
    pub fn hashed_by_caller(mut self) -> Self {
        self.sink.hasher = None;
        self
    }

    /// Reads the next bytes of the uncompressed tar, in pieces of any size.
    ///
    /// # Errors
    ///
    /// [`StoreError::Layer`] for an archive that is refused, and those of writing. After one, the
    /// writer is of no use.
    pub fn feed(&mut self, tar: &[u8]) -> Result<()> {
        self.reader.feed(tar, &mut self.sink).map_err(refused)
    }

    /// Ends the archive. Contents, listing, recipe and tape are durable on return.
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
        let Self { transaction, reader, mut sink } = self;
        let tree = reader.finish(&mut sink).map_err(refused)?;
        let found = sink.hasher.take().map(Hasher::finish);
        if let (Some(expected), Some(found)) = (diff_id, found) {
            same(&expected, found)?;
        }
        let diff_id = diff_id.or(found);
        let diff_id =
            diff_id.ok_or(StoreError::OutOfOrder { reason: "no one hashed the layer" })?;
        let tree = sink.finish(transaction, &tree, &diff_id)?;
        transaction.record(&diff_id, tree, compressed, true)?;
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
        self.record(diff_id, tree, compressed, false)
    }

    fn record(
        &self,
        diff_id: &Digest,
        tree: ObjectId,
        compressed: &[Digest],
        taped: bool,
    ) -> Result<()> {
        // A damaged recipe is replaced.
        let known = self.store().recipe(diff_id).ok().flatten();
        let mut all = known.as_ref().map(|known| known.compressed.clone()).unwrap_or_default();
        for digest in compressed {
            if !all.contains(digest) {
                all.push(*digest);
            }
        }
        let taped = taped || known.as_ref().is_some_and(|known| known.taped);
        let recipe = Recipe { tree, compressed: all, verified: true, taped };
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

/// What becomes of an archive: contents, and a tape of all the rest.
struct Sink<'a> {
    contents: Ingest,
    tape: Recording<'a>,
    /// Of the archive, whose bytes all come as contents or verbatim; `None` where the caller hashes
    /// it.
    hasher: Option<Hasher>,
}

impl Sink<'_> {
    fn finish(
        self,
        transaction: &Transaction<'_>,
        tree: &Tree,
        diff_id: &Digest,
    ) -> Result<ObjectId> {
        let mut tape = self.tape.finish()?;
        // Files that are not the tree's go when it has its directory; objects can only be read once
        // their pack is sealed.
        if let Ingest::Loose(staging) = &self.contents {
            tape.embed(tree, |object, size| staging.open(object, size))?;
        }
        let packed = matches!(self.contents, Ingest::Packed(_));
        let id = self.contents.finish(transaction, tree)?;
        if packed {
            let contents = Contents::Packed(transaction.store());
            tape.embed(tree, |object, size| contents.open_object(object, size))?;
        }
        tape.publish(diff_id)?;
        Ok(id)
    }
}

impl LayerSink for Sink<'_> {
    type Error = StoreError;

    fn begin(&mut self, size: u64) -> Result<()> {
        self.tape.begin();
        self.contents.begin(size)
    }

    fn data(&mut self, data: &[u8]) -> Result<()> {
        self.tape.data(data.len() as u64);
        self.contents.data_of_archive(data, self.hasher.as_mut())
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        self.tape.hole(length);
        self.contents.hole(length)
    }

    fn end(&mut self) -> Result<ObjectId> {
        let object = self.contents.end()?;
        self.tape.end(&object)?;
        Ok(object)
    }

    fn verbatim(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.tape.verbatim(bytes)
    }
}
