//! Writing to a store: nothing is visible under a name before all of it is on disk.

use std::sync::Arc;

use creel_base::digest::{Digest, Hasher, ObjectId};
use creel_codec::tree::{Kind, Tree};

use crate::config::Backend;
use crate::contents::encode_tree;
use crate::error::{Result, StoreError};
use crate::lock::Lock;
use crate::names;
use crate::objects::same;
use crate::pack::PackId;
use crate::pack::writer::PackWriter;
use crate::store::{BLOB_LIMIT, Store};

/// A writer's stay in the store. It holds a lease, so that what it looked up is still there when
/// its references are published. Dropped without [`Transaction::commit`], it leaves garbage only.
#[derive(Debug)]
pub struct Transaction<'a> {
    store: &'a Store,
    _lease: Lock,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(store: &'a Store, lease: Lock) -> Self {
        Self { store, _lease: lease }
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    /// Begins a pack. Several may be written side by side, one a layer.
    pub fn pack(&self) -> Result<PackWriter> {
        if self.store.description().backend != Backend::Packed {
            return Err(StoreError::WrongBackend { what: "writing a pack", backend: "packed" });
        }
        PackWriter::new(Arc::clone(&self.store.objects))
    }

    /// Ends a pack and makes its objects visible, durably; `None` when all of them were known.
    pub fn seal(&self, pack: PackWriter) -> Result<Option<PackId>> {
        let sealed = pack.seal()?;
        self.store.objects.refresh()?;
        Ok(sealed)
    }

    /// Stores a tree, whose contents are all in the store, and returns its id.
    pub fn put_tree(&self, tree: &Tree) -> Result<ObjectId> {
        if self.store.description().backend == Backend::Loose {
            return self.make_checkout(tree);
        }
        for entry in &tree.entries {
            if let Kind::File { object, .. } = &entry.kind {
                self.store.objects.find(object)?.ok_or(StoreError::NoObject { id: *object })?;
            }
        }
        self.put_listing(tree)
    }

    /// Stores the listing of a tree whose contents this transaction has written or found.
    pub(crate) fn put_listing(&self, tree: &Tree) -> Result<ObjectId> {
        let (id, listing) = encode_tree(tree)?;
        if self.store.listing(&id).is_err() {
            self.store.trees.replace(id.hex(), &listing)?;
        }
        Ok(id)
    }

    /// Stores an opaque document under the digest that names it.
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > BLOB_LIMIT {
            return Err(StoreError::TooLarge { what: "blob" });
        }
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(bytes);
        same(digest, hasher.finish())?;
        // Reading it checks it: a damaged copy is replaced.
        if self.store.blob(digest).is_err() {
            self.store.blob_dir(digest).replace(digest.hex(), bytes)?;
        }
        Ok(())
    }

    /// Publishes references, each by one rename. All they name must have been stored before.
    pub fn commit(self, references: &[(&[u8], Digest)]) -> Result<()> {
        for (name, digest) in references {
            self.store.refs.replace(names::encode(name)?, format!("{digest}\n").as_bytes())?;
        }
        // Only speed is lost when this fails, as on a full disk.
        let _ = self.store.objects.merge_indexes();
        Ok(())
    }
}
