//! Making a layer complete enough for overlayfs to stack it.

use std::collections::HashMap;

use super::{Entry, Kind, Tree, TreeError};

/// Rewrites what in `layer` depends on `lower`, the merged tree of all layers below it, so that
/// overlayfs can stack the layer. Returns `None` if nothing depends on it.
///
/// A directory that the archive only implied gets the metadata of the lower one, and each
/// [`Kind::LowerLink`] becomes the lower inode itself, several links to one inode becoming hard
/// links of each other. They share nothing with the lower layer's own name: as after any copy-up of
/// overlayfs, only the merged tree has the whole group.
///
/// # Errors
///
/// [`TreeError::NoLowerTarget`] if a link names nothing below.
pub fn resolve(layer: &Tree, lower: &Tree) -> Result<Option<Tree>, TreeError> {
    let mut leaders = HashMap::new();
    let mut changed: Option<Tree> = None;
    for (index, entry) in layer.entries.iter().enumerate() {
        let Some(new) = resolve_entry(index, entry, lower, &mut leaders)? else { continue };
        let tree = changed.get_or_insert_with(|| layer.clone());
        if let Some(slot) = tree.entries.get_mut(index) {
            *slot = new;
        }
    }
    Ok(changed)
}

fn resolve_entry(
    index: usize,
    entry: &Entry,
    lower: &Tree,
    leaders: &mut HashMap<usize, u32>,
) -> Result<Option<Entry>, TreeError> {
    match &entry.kind {
        Kind::Directory { implied: true, .. } => Ok(lower
            .get(&entry.path)
            .filter(|below| below.kind.is_directory() && below.meta != entry.meta)
            .map(|below| Entry { meta: below.meta.clone(), ..entry.clone() })),
        Kind::LowerLink { path } => {
            let missing =
                || TreeError::NoLowerTarget { path: entry.path.clone(), target: path.clone() };
            let inode = lower.inode_index(lower.find(path).ok_or_else(missing)?);
            if let Some(leader) = leaders.get(&inode) {
                let kind = Kind::HardLink { entry: *leader };
                return Ok(Some(Entry { kind, ..entry.clone() }));
            }
            leaders.insert(inode, u32::try_from(index).map_err(|_| TreeError::TooManyEntries)?);
            let below = lower.entries.get(inode).filter(|below| !below.kind.is_directory());
            let below = below.ok_or_else(missing)?;
            Ok(Some(Entry { path: entry.path.clone(), ..below.clone() }))
        }
        _ => Ok(None),
    }
}
