//! Checking packs by their own indexes, and merged indexes by those.

use std::collections::{BTreeSet, HashSet};

use creel_base::digest::ObjectId;

use crate::damage::unless_damaged;
use crate::error::Result;
use crate::fsck::{Mode, Problem};
use crate::pack::PackId;
use crate::pack::index::Index;
use crate::store::Store;

impl Store {
    /// Checks all indexes and reads every object; returns the objects that are there, which are those
    /// that a pack's own index vouches for.
    ///
    /// What is damaged in a pack is named as such, and is among them until it is dropped.
    pub(crate) fn check_packs(
        &self,
        mode: Mode,
        problems: &mut Vec<Problem>,
    ) -> Result<HashSet<ObjectId>> {
        let whole = self.check_indexes(problems)?;
        self.check_merged(&whole, problems)?;
        if mode == Mode::Repair {
            // First: they may name what is about to go.
            self.objects.forget_merged()?;
            self.drop_indexes_but(&whole)?;
        }
        let mut there = HashSet::new();
        for pack in whole {
            self.check_pack(pack, mode, &mut there, problems)?;
        }
        if mode == Mode::Repair {
            // Many packs are slow to search, and no more; it may need space that there is not.
            let _ = self.objects.merge_indexes();
        }
        self.objects.refresh()?;
        Ok(there)
    }

    /// Checks the indexes of single packs, and returns the packs whose indexes are whole.
    fn check_indexes(&self, problems: &mut Vec<Problem>) -> Result<BTreeSet<PackId>> {
        let mut whole = BTreeSet::new();
        for pack in self.own_indexes()? {
            let index = self.objects.read_only_index(pack);
            match unless_damaged(index.and_then(|index| index.verify()))? {
                Some(()) => drop(whole.insert(pack)),
                None => problems.push(Problem::Index(pack)),
            }
        }
        Ok(whole)
    }

    fn own_indexes(&self) -> Result<Vec<PackId>> {
        let names = self.objects.dir().names()?;
        Ok(names.iter().filter_map(|name| PackId::from_name(name, b".idx")).collect())
    }

    fn drop_indexes_but(&self, whole: &BTreeSet<PackId>) -> Result<()> {
        for pack in self.own_indexes()?.iter().filter(|pack| !whole.contains(pack)) {
            self.objects.dir().remove(pack.index_name())?;
        }
        self.objects.dir().sync()
    }

    /// Finds merged indexes that do not say what the indexes of their packs say.
    fn check_merged(&self, whole: &BTreeSet<PackId>, problems: &mut Vec<Problem>) -> Result<()> {
        for name in self.objects.merged()? {
            let index = self.objects.open_index(&name);
            let agrees = index.and_then(|index| match index {
                Some(index) => index.verify().and_then(|()| self.agrees(&index, whole)),
                // Another process has merged it into a larger one.
                None => Ok(true),
            });
            if !unless_damaged(agrees)?.unwrap_or(false) {
                problems.push(Problem::Merged(name));
            }
        }
        Ok(())
    }

    /// Compares a merged index with those of its packs. What it says of a pack whose own index is
    /// missing or damaged is of no account.
    fn agrees(&self, merged: &Index, whole: &BTreeSet<PackId>) -> Result<bool> {
        let mut agrees = true;
        let mut said = 0_u64;
        merged.for_each(|entry| {
            if whole.contains(&entry.record.at.pack) {
                let own = self.objects.index_of(entry.record.at.pack)?;
                let records = own.map(|own| own.find(&entry.record.id)).transpose()?;
                let known = records.is_some_and(|records| records.contains(&entry.record));
                agrees &= known && !entry.dropped;
                said += 1;
            }
            Ok(())
        })?;
        // No entry is there twice in an index that is in order; so as many are the same ones.
        Ok(agrees && said == self.live_objects(merged, whole)?)
    }

    /// How many objects the packs of a merged index have.
    fn live_objects(&self, merged: &Index, whole: &BTreeSet<PackId>) -> Result<u64> {
        let mut live = 0_u64;
        for (pack, _) in merged.packs().iter().filter(|(pack, _)| whole.contains(pack)) {
            self.objects.read_only_index(*pack)?.for_each(|entry| {
                live += u64::from(!entry.dropped);
                Ok(())
            })?;
        }
        Ok(live)
    }

    fn check_pack(
        &self,
        pack: PackId,
        mode: Mode,
        there: &mut HashSet<ObjectId>,
        problems: &mut Vec<Problem>,
    ) -> Result<()> {
        let index = match mode {
            Mode::Check => self.objects.read_only_index(pack)?,
            Mode::Repair => self.objects.pack_index(pack)?,
        };
        let mut bad = Vec::new();
        index.for_each(|entry| {
            let id = entry.record.id;
            if entry.dropped {
                return Ok(());
            }
            let read = self.objects.read(&id, entry.record.at, |_| Ok(()));
            let whole = unless_damaged(read)?.is_some();
            if !whole {
                problems.push(Problem::Object(id, pack));
                bad.push(entry.number);
            }
            if whole || mode == Mode::Check {
                there.insert(id);
            }
            Ok(())
        })?;
        if mode == Mode::Repair && !bad.is_empty() { index.drop_entries(&bad) } else { Ok(()) }
    }
}
