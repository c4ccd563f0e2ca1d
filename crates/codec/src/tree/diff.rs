//! What differs between two trees.

use core::cmp::Ordering;
use std::collections::HashMap;

use super::{Entry, Kind, Meta, Tree, TreeError, path};

/// One name that differs. Indexes are into the entries of the trees compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the second tree has it.
    Added(usize),
    /// Both have it, but its metadata, content, kind or group of hard links differs.
    Changed(usize, usize),
    /// Only the first tree has it.
    Removed(usize),
}

/// Iterates over the names that differ between `a` and `b`, in canonical order.
pub fn diff<'a>(a: &'a Tree, b: &'a Tree) -> impl Iterator<Item = Change> + 'a {
    pairs(a, b).filter_map({
        let (groups_a, groups_b) = (Groups::of(a), Groups::of(b));
        move |pair| match pair {
            (Some(i), Some(j)) => {
                let same = same_inode(a, i, b, j) && groups_a.same((a, i), &groups_b, (b, j));
                (!same).then_some(Change::Changed(i, j))
            }
            (Some(i), None) => Some(Change::Removed(i)),
            (None, Some(j)) => Some(Change::Added(j)),
            (None, None) => None,
        }
    })
}

/// Makes the layer that turns `base` into `merged` when stacked on it: what was added or changed,
/// the directories that lead there, and a whiteout for each name that is gone.
///
/// Both must be merged trees; `merge(&[base, &changes(base, merged)?])` gives `merged` again.
///
/// # Errors
///
/// What [`Tree::validate`] refuses.
pub fn changes(base: &Tree, merged: &Tree) -> Result<Tree, TreeError> {
    let mut wanted = vec![false; merged.entries.len()];
    let mut gone: Vec<&[u8]> = Vec::new();
    for change in diff(base, merged) {
        match change {
            Change::Added(index) | Change::Changed(_, index) => want(&mut wanted, index),
            Change::Removed(index) => {
                let Some(entry) = base.entries.get(index) else { continue };
                let parent = path::parent(&entry.path).and_then(|parent| merged.find(parent));
                // Below what is gone or is no directory now, nothing shows through.
                let lost = parent
                    .and_then(|at| merged.entries.get(at))
                    .is_none_or(|parent| !parent.kind.is_directory());
                if !lost {
                    gone.push(&entry.path);
                    parent.into_iter().for_each(|parent| want(&mut wanted, parent));
                }
            }
        }
    }
    want(&mut wanted, 0);
    for index in 0..merged.entries.len() {
        if wanted.get(index) == Some(&true) {
            want(&mut wanted, merged.inode_index(index));
            let parents = merged.entries.get(index).and_then(|e| path::parent(&e.path));
            let mut parent = parents;
            while let Some(at) = parent.and_then(|parent| merged.find(parent)) {
                want(&mut wanted, at);
                parent = parent.and_then(path::parent);
            }
        }
    }
    collect(merged, &wanted, &gone)
}

fn want(wanted: &mut [bool], index: usize) {
    if let Some(slot) = wanted.get_mut(index) {
        *slot = true;
    }
}

fn collect(merged: &Tree, wanted: &[bool], gone: &[&[u8]]) -> Result<Tree, TreeError> {
    let mut numbers = HashMap::new();
    let mut entries = Vec::new();
    for (index, entry) in merged.entries.iter().enumerate() {
        if wanted.get(index) != Some(&true) {
            continue;
        }
        let number = u32::try_from(entries.len()).map_err(|_| TreeError::TooManyEntries)?;
        numbers.insert(index, number);
        let mut entry = entry.clone();
        if let Kind::HardLink { entry: leader } = &mut entry.kind {
            *leader = numbers.get(&(*leader as usize)).copied().unwrap_or(u32::MAX);
        }
        entries.push(entry);
    }
    entries.extend(gone.iter().map(|path| Entry {
        path: (*path).into(),
        meta: Meta::default(),
        kind: Kind::Whiteout,
    }));
    Tree::from_unsorted(entries)
}

/// Walks two trees side by side, in canonical order.
fn pairs<'a>(
    a: &'a Tree,
    b: &'a Tree,
) -> impl Iterator<Item = (Option<usize>, Option<usize>)> + 'a {
    let (mut i, mut j) = (0, 0);
    core::iter::from_fn(move || {
        let order = match (a.entries.get(i), b.entries.get(j)) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => path::compare(&x.path, &y.path),
        };
        let pair = (order.is_le().then_some(i), order.is_ge().then_some(j));
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
        Some(pair)
    })
}

fn same_inode(a: &Tree, i: usize, b: &Tree, j: usize) -> bool {
    match (a.inode(i), b.inode(j)) {
        (Some(x), Some(y)) => x.meta == y.meta && x.kind == y.kind,
        _ => false,
    }
}

/// The names of each inode that has several, by the index of the entry that holds it.
struct Groups(HashMap<usize, Vec<usize>>);

impl Groups {
    fn of(tree: &Tree) -> Self {
        let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, entry) in tree.entries.iter().enumerate() {
            if matches!(entry.kind, Kind::HardLink { .. }) {
                let leader = tree.inode_index(index);
                groups.entry(leader).or_insert_with(|| vec![leader]).push(index);
            }
        }
        Self(groups)
    }

    fn names<'a>(&self, tree: &'a Tree, index: usize) -> Vec<&'a [u8]> {
        let inode = tree.inode_index(index);
        let single = vec![inode];
        let group = self.0.get(&inode).unwrap_or(&single);
        group.iter().filter_map(|at| tree.entries.get(*at)).map(|entry| &*entry.path).collect()
    }

    /// Tells whether two names, equal as inodes, are linked with the same other names. A name that
    /// the other tree lacks or has with another inode does not count: it is a change of its own.
    fn same(&self, (a, i): (&Tree, usize), other: &Self, (b, j): (&Tree, usize)) -> bool {
        let (inode_a, inode_b) = (a.inode_index(i), b.inode_index(j));
        if !self.0.contains_key(&inode_a) && !other.0.contains_key(&inode_b) {
            return true;
        }
        let mut before = self.names(a, i);
        before.retain(|name| b.find(name).is_some_and(|at| same_inode(a, i, b, at)));
        before == other.names(b, j)
    }
}
