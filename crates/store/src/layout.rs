//! Where the contents of a tree lie for its EROFS image: inlined, or in at most [`MAX_PACKS`] packs.

use std::collections::{BTreeMap, HashMap, HashSet};

use creel_base::digest::ObjectId;
use creel_codec::tree::{Kind, Tree};

use crate::error::{Result, StoreError};
use crate::pack::{INLINE_LIMIT, Location, PackId};
use crate::store::Store;
use crate::transaction::Transaction;

/// Most packs that one image points at: each is a file that a mount keeps open.
pub(crate) const MAX_PACKS: usize = 32;

/// The places of all contents of a tree.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Contents of at most [`INLINE_LIMIT`] bytes.
    pub(crate) inline: HashMap<ObjectId, Vec<u8>>,
    /// Places of the others.
    pub(crate) chunks: HashMap<ObjectId, Location>,
    /// The packs of those places.
    pub(crate) devices: Vec<PackId>,
}

impl Layout {
    /// Finds the contents of a tree, and copies those that lie in too many packs into one.
    pub(crate) fn new(transaction: &Transaction<'_>, tree: &Tree) -> Result<Self> {
        let store = transaction.store();
        let mut layout = Self::default();
        let mut found = BTreeMap::new();
        for (object, size) in sizes(tree)? {
            let at = places(store, &object, size)?;
            if size > INLINE_LIMIT {
                found.insert(object, at);
            } else {
                layout.inline.insert(object, read_small(store, &object)?);
            }
        }
        layout.choose(&found);
        if layout.devices.len() > MAX_PACKS {
            layout.gather(transaction)?;
        }
        Ok(layout)
    }

    /// Gives each object one of its places, in packs that hold much of the tree where possible.
    fn choose(&mut self, found: &BTreeMap<ObjectId, Vec<Location>>) {
        let weights = weigh(found.values().flatten());
        let rank = |at: &&Location| (weights.get(&at.pack).copied().unwrap_or(0), at.pack);
        self.chunks = found
            .iter()
            .filter_map(|(object, places)| Some((*object, *places.iter().max_by_key(rank)?)))
            .collect();
        self.find_devices();
    }

    /// Lists the packs in use, those that hold most first.
    fn find_devices(&mut self) {
        let mut weights: Vec<_> = weigh(self.chunks.values()).into_iter().collect();
        weights.sort_unstable_by_key(|(pack, bytes)| (core::cmp::Reverse(*bytes), *pack));
        self.devices = weights.into_iter().map(|(pack, _)| pack).collect();
    }

    /// Copies what lies outside the packs that hold most into a pack of its own.
    fn gather(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let kept: HashSet<_> = self.devices.iter().copied().take(MAX_PACKS - 1).collect();
        let mut strays: Vec<_> =
            self.chunks.iter().filter(|(_, at)| !kept.contains(&at.pack)).collect();
        strays.sort_unstable_by_key(|(_, at)| (at.pack, at.offset));
        let strays: Vec<_> = strays.into_iter().map(|(object, _)| *object).collect();
        let pack = copy(transaction, &strays)?;
        for object in strays {
            let at = transaction.store().objects.find_all(&object)?;
            let copy = at.into_iter().find(|at| at.pack == pack);
            self.chunks.insert(object, copy.ok_or(StoreError::NoObject { id: object })?);
        }
        self.find_devices();
        Ok(())
    }
}

/// The contents of a tree and their sizes in bytes, each once; empty ones need no place.
fn sizes(tree: &Tree) -> Result<BTreeMap<ObjectId, u64>> {
    let mut sizes = BTreeMap::new();
    for entry in &tree.entries {
        let Kind::File { size, object } = &entry.kind else { continue };
        if *size > 0 && sizes.insert(*object, *size).is_some_and(|other| other != *size) {
            return Err(StoreError::WrongSize { id: *object });
        }
    }
    Ok(sizes)
}

/// All places of an object, whose size must be what the tree says: an image that went beyond the
/// object's end would show what lies behind it.
fn places(store: &Store, object: &ObjectId, size: u64) -> Result<Vec<Location>> {
    let places = store.objects.find_all(object)?;
    if places.is_empty() {
        return Err(StoreError::NoObject { id: *object });
    }
    if places.iter().any(|at| at.logical != size) {
        return Err(StoreError::WrongSize { id: *object });
    }
    Ok(places)
}

fn read_small(store: &Store, object: &ObjectId) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    store.read_object(object, |piece| {
        content.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(content)
}

/// How many bytes lie in each pack.
fn weigh<'a>(places: impl Iterator<Item = &'a Location>) -> HashMap<PackId, u64> {
    let mut weights = HashMap::new();
    for at in places {
        let bytes: &mut u64 = weights.entry(at.pack).or_default();
        *bytes = bytes.saturating_add(at.stored);
    }
    weights
}

/// Copies objects into a new pack.
fn copy(transaction: &Transaction<'_>, objects: &[ObjectId]) -> Result<PackId> {
    let mut pack = transaction.pack()?.keeping_copies();
    for object in objects {
        pack.begin()?;
        transaction.store().read_object(object, |piece| {
            // What was a hole becomes one again.
            if piece.iter().all(|byte| *byte == 0) {
                pack.hole(piece.len() as u64)
            } else {
                pack.data(piece)
            }
        })?;
        pack.end()?;
    }
    transaction.seal(pack)?.ok_or(StoreError::OutOfOrder { reason: "no object to copy" })
}
