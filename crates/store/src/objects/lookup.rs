//! Where objects lie.
//!
//! A merged index says quickly in which packs to look; where an object lies is said by the pack's own
//! index. A bit of a merged index may have flipped, and only reading all of it would tell.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, PoisonError};

use creel_base::digest::ObjectId;

use super::{MAX_OPEN, Objects, is_multi};
use crate::damage::unless_damaged;
use crate::error::Result;
use crate::pack::index::Index;
use crate::pack::{Location, PackId, Record};

impl Objects {
    /// Tells whether an object seems to be known, by a quick look. To be wrong here costs a copy of
    /// the object and nothing else.
    pub(crate) fn seems_known(&self, id: &ObjectId) -> Result<bool> {
        if self.glance(id)? {
            return Ok(true);
        }
        for alternate in &self.alternates {
            if alternate.seems_known(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn glance(&self, id: &ObjectId) -> Result<bool> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        for (name, index) in &runs.indexes {
            let records = look_into(name, index, id)?;
            if records.iter().any(|record| runs.packs.contains(&record.at.pack)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first place where an object lies.
    pub(crate) fn find(&self, id: &ObjectId) -> Result<Option<Location>> {
        if let Some(at) = self.find_here(id, 1)?.first() {
            return Ok(Some(*at));
        }
        for alternate in &self.alternates {
            if let Some(at) = alternate.find(id)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// All places where an object lies, those in alternates last.
    pub(crate) fn find_all(&self, id: &ObjectId) -> Result<Vec<Location>> {
        let mut found = self.find_here(id, usize::MAX)?;
        for alternate in &self.alternates {
            found.extend(alternate.find_all(id)?);
        }
        Ok(found)
    }

    /// Up to `most` places in this store. Where the indexes in use say nothing that is true, each
    /// pack is asked.
    fn find_here(&self, id: &ObjectId, most: usize) -> Result<Vec<Location>> {
        let mut found = self.find_quickly(id, most)?;
        if found.is_empty() && self.has_merged() {
            found = self.find_in_packs(id)?;
        }
        found.truncate(most);
        Ok(found)
    }

    fn find_quickly(&self, id: &ObjectId, most: usize) -> Result<Vec<Location>> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (name, index) in &runs.indexes {
            for record in look_into(name, index, id)? {
                let exists = runs.packs.contains(&record.at.pack);
                if exists && (!is_multi(name) || self.confirms(&record)?) {
                    found.push(record.at);
                }
            }
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    /// Tells whether a merged index is right about an object. Where the pack's own is damaged, there
    /// is nothing better.
    fn confirms(&self, record: &Record) -> Result<bool> {
        let Some(index) = self.own_index(record.at.pack)? else { return Ok(true) };
        let records = unless_damaged(index.find(&record.id))?;
        Ok(records.is_none_or(|records| records.contains(record)))
    }

    /// The places of an object by the indexes of the packs alone.
    fn find_in_packs(&self, id: &ObjectId) -> Result<Vec<Location>> {
        let mut found = Vec::new();
        for pack in self.packs() {
            let Some(index) = self.own_index(pack)? else { continue };
            let records = unless_damaged(index.find(id))?.unwrap_or_default();
            found.extend(records.iter().map(|record| record.at));
        }
        Ok(found)
    }

    /// The index of a pack of this store or of an alternate; `None` where it is damaged or missing.
    pub(crate) fn index_of(&self, pack: PackId) -> Result<Option<Arc<Index>>> {
        if self.has_pack(pack) {
            return self.own_index(pack);
        }
        let mut others = self.alternates.iter();
        others.find_map(|other| other.index_of(pack).transpose()).transpose()
    }

    /// Tells whether an alternate has an object.
    pub(crate) fn is_in_alternates(&self, id: &ObjectId) -> Result<bool> {
        for alternate in &self.alternates {
            if alternate.find(id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn own_index(&self, pack: PackId) -> Result<Option<Arc<Index>>> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = own.get(&pack) {
            return Ok(index.clone());
        }
        let crowded = own.len() >= MAX_OPEN;
        let park = |index: Index| if crowded { index.parked(&self.dir) } else { index };
        let index = unless_damaged(self.read_only_index(pack))?.map(park).map(Arc::new);
        own.insert(pack, index.clone());
        Ok(index)
    }

    fn has_pack(&self, pack: PackId) -> bool {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).packs.contains(&pack)
    }

    fn has_merged(&self) -> bool {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        runs.indexes.iter().any(|(name, _)| is_multi(name))
    }

    /// Opens an index file; `None` when there is none.
    pub(crate) fn open_index(&self, name: &[u8]) -> Result<Option<Index>> {
        let name = OsStr::from_bytes(name);
        let Some(file) = self.dir.open_file(name)? else { return Ok(None) };
        Index::open(file, &self.dir.path_of(name)).map(Some)
    }
}

/// Looks an object up in an index; a merged one that is damaged there knows nothing of it.
fn look_into(name: &[u8], index: &Index, id: &ObjectId) -> Result<Vec<Record>> {
    match index.find(id) {
        found if !is_multi(name) => found,
        found => Ok(unless_damaged(found)?.unwrap_or_default()),
    }
}
