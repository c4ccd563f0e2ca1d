//! Making a tree of entries that come in any order.

use std::collections::HashMap;

use super::{Entry, Kind, Meta, Tree, TreeError, path};

impl Tree {
    /// Sorts entries into canonical order.
    ///
    /// [`Kind::HardLink`] indexes refer to `entries` as given; a link may stand before what it
    /// names and may name another link. In the tree, the first name in canonical order of each
    /// group holds the inode.
    ///
    /// # Errors
    ///
    /// What [`Tree::validate`] refuses, among it paths that occur twice and missing parents.
    pub fn from_unsorted(mut entries: Vec<Entry>) -> Result<Self, TreeError> {
        u32::try_from(entries.len()).map_err(|_| TreeError::TooManyEntries)?;
        let inodes = take_inodes(&mut entries)?;
        let mut named: Vec<(Entry, usize)> = entries.into_iter().zip(inodes).collect();
        named.sort_unstable_by(|(a, _), (b, _)| path::compare(&a.path, &b.path));
        let tree = Self { entries: lead_by_first_name(named) };
        tree.validate()?;
        Ok(tree)
    }
}

/// Returns for each entry the index of the entry that holds its inode.
fn take_inodes(entries: &mut [Entry]) -> Result<Vec<usize>, TreeError> {
    let follow = |start: usize| {
        let mut at = start;
        // A chain that is longer than the tree goes round in a circle.
        for _ in 0..entries.len() {
            match &entries.get(at)?.kind {
                Kind::HardLink { entry } => at = *entry as usize,
                _ => return Some(at),
            }
        }
        None
    };
    let bad = |index: usize| TreeError::BadLink {
        path: entries.get(index).map(|entry| entry.path.clone()).unwrap_or_default(),
    };
    let mut inodes = Vec::with_capacity(entries.len());
    for index in 0..entries.len() {
        let inode = follow(index).ok_or_else(|| bad(index))?;
        let kind = entries.get(inode).map(|entry| &entry.kind);
        if inode != index && kind.is_none_or(|kind| !kind.has_meta() || kind.is_directory()) {
            return Err(bad(index));
        }
        inodes.push(inode);
    }
    Ok(inodes)
}

/// Gives each inode to its first name; `named` holds sorted entries with their inodes' numbers.
fn lead_by_first_name(named: Vec<(Entry, usize)>) -> Vec<Entry> {
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for (position, (entry, inode)) in named.iter().enumerate() {
        if matches!(entry.kind, Kind::HardLink { .. }) {
            members.entry(*inode).or_default().push(position);
        }
    }
    if !members.is_empty() {
        for (position, (entry, inode)) in named.iter().enumerate() {
            if !matches!(entry.kind, Kind::HardLink { .. })
                && let Some(group) = members.get_mut(inode)
            {
                group.push(position);
            }
        }
    }
    let mut entries: Vec<Entry> = named.into_iter().map(|(entry, _)| entry).collect();
    for mut group in members.into_values() {
        group.sort_unstable();
        move_inode_to_first(&mut entries, &group);
    }
    entries
}

fn move_inode_to_first(entries: &mut [Entry], group: &[usize]) {
    let Some(&first) = group.first() else { return };
    // The length was checked against 32 bits.
    let link = Kind::HardLink { entry: u32::try_from(first).unwrap_or(u32::MAX) };
    let mut inode = (Meta::default(), link.clone());
    for position in group {
        let Some(entry) = entries.get_mut(*position) else { return };
        if matches!(entry.kind, Kind::HardLink { .. }) {
            entry.kind = link.clone();
        } else {
            core::mem::swap(&mut inode.0, &mut entry.meta);
            core::mem::swap(&mut inode.1, &mut entry.kind);
        }
    }
    if let Some(entry) = entries.get_mut(first) {
        (entry.meta, entry.kind) = inode;
    }
}

#[cfg(test)]
mod tests {
    use creel_base::digest::ObjectId;

    use super::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry { path: path.as_bytes().into(), meta: Meta::default(), kind }
    }

    const DIRECTORY: Kind = Kind::Directory { opaque: false, implied: false };

    #[test]
    fn sorts_and_moves_the_inode_to_its_first_name() {
        let file = Kind::File { size: 1, object: ObjectId::of(b"x") };
        let tree = Tree::from_unsorted(vec![
            entry("z", file.clone()),
            entry("b", Kind::HardLink { entry: 3 }),
            entry("", DIRECTORY),
            entry("a", Kind::HardLink { entry: 0 }),
        ])
        .unwrap();
        let kinds: Vec<_> = tree.entries.iter().map(|e| e.kind.clone()).collect();
        let link = Kind::HardLink { entry: 1 };
        assert_eq!(kinds, [DIRECTORY, file, link.clone(), link]);
    }

    #[test]
    fn refuses_what_is_no_tree() {
        let link = |entry| Kind::HardLink { entry };
        for (what, entries) in [
            ("no root", vec![]),
            ("twice", vec![entry("", DIRECTORY), entry("a", Kind::Fifo), entry("a", Kind::Fifo)]),
            ("no parent", vec![entry("", DIRECTORY), entry("a/b", Kind::Fifo)]),
            (
                "under a file",
                vec![entry("", DIRECTORY), entry("a", Kind::Fifo), entry("a/b", Kind::Fifo)],
            ),
            ("circle", vec![entry("", DIRECTORY), entry("a", link(2)), entry("b", link(1))]),
            ("link to a directory", vec![entry("", DIRECTORY), entry("a", link(0))]),
            ("link to nothing", vec![entry("", DIRECTORY), entry("a", link(9))]),
            ("dots", vec![entry("", DIRECTORY), entry("..", Kind::Fifo)]),
        ] {
            assert!(Tree::from_unsorted(entries).is_err(), "{what}");
        }
    }
}
