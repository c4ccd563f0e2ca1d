//! Indexes over several packs, which save look-ups and can be removed at any time.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::PoisonError;

use super::{Objects, is_multi};
use crate::damage::unless_damaged;
use crate::dir;
use crate::error::{Result, StoreError};
use crate::pack::index::Index;
use crate::pack::writer::write_index;
use crate::pack::{PackId, Record};

/// More index files than this are merged by the next transaction.
const MAX_RUNS: usize = 4;

impl Objects {
    /// Merges index files when there are too many: smaller ones first, so that each entry is
    /// rewritten a number of times that grows with the logarithm of the store's size.
    pub(crate) fn merge_indexes(&self) -> Result<()> {
        self.refresh()?;
        if !self.merged_are_whole()? {
            self.forget_merged()?;
            self.refresh()?;
        }
        let merged = {
            let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
            if runs.indexes.len() <= MAX_RUNS {
                return Ok(());
            }
            runs.indexes.sort_by_key(|(_, index)| index.count());
            let mut total = 0_u64;
            let taken = runs.indexes.iter().take_while(|(_, index)| {
                let small = total == 0 || u64::from(index.count()) <= total.saturating_mul(2);
                total += u64::from(index.count());
                small
            });
            let taken = taken.count().max(2);
            self.write_merged(runs.indexes.get(..taken).unwrap_or_default(), &runs.packs)?
        };
        for name in merged.iter().filter(|name| is_multi(name)) {
            self.dir.remove(OsStr::from_bytes(name))?;
        }
        self.refresh()
    }

    /// Tells whether no merged index is damaged: the damage would go into the next one, with a
    /// checksum that fits.
    fn merged_are_whole(&self) -> Result<bool> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        if runs.indexes.len() <= MAX_RUNS {
            return Ok(true);
        }
        for (_, index) in runs.indexes.iter().filter(|(name, _)| is_multi(name)) {
            if unless_damaged(index.verify())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes one index over those given and returns their names.
    fn write_merged(
        &self,
        indexes: &[(Vec<u8>, Index)],
        existing: &BTreeSet<PackId>,
    ) -> Result<Vec<Vec<u8>>> {
        let mut packs = Vec::new();
        let mut records: Vec<Record> = Vec::new();
        for (_, index) in indexes {
            packs.extend(index.packs().iter().copied().filter(|pack| existing.contains(&pack.0)));
            index.for_each(|entry| {
                if !entry.dropped && existing.contains(&entry.record.at.pack) {
                    records.push(entry.record);
                }
                Ok(())
            })?;
        }
        packs.sort_unstable();
        packs.dedup();
        records.sort_unstable_by_key(|record| (record.id, record.at.pack));
        records.dedup();
        let name = dir::random().map_err(StoreError::io("name an index in", self.dir.path()))?;
        let name = PackId(name);
        write_index(self, &format!("multi-{name}.idx"), &packs, &records)?;
        Ok(indexes.iter().map(|(name, _)| name.clone()).collect())
    }

    /// Removes every merged index: they may name what is about to go. Durable on return.
    pub(crate) fn forget_merged(&self) -> Result<()> {
        for name in self.merged()? {
            self.dir.remove(OsStr::from_bytes(&name))?;
        }
        self.dir.sync()
    }

    /// The names of the merged indexes.
    pub(crate) fn merged(&self) -> Result<Vec<Vec<u8>>> {
        let mut names = self.dir.names()?;
        names.retain(|name| is_multi(name));
        Ok(names)
    }
}
