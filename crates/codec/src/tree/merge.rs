//! Stacking layer trees into one, as overlayfs would show them.

use super::{Entry, Kind, Tree, TreeError, path};

/// An inode of the stack: which layer holds it, and the index of its entry there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Inode {
    layer: usize,
    index: usize,
}

/// One name of the stack so far. The path is borrowed from the layer that gave it.
#[derive(Clone, Copy)]
struct Node<'a> {
    path: &'a [u8],
    inode: Inode,
}

/// Stacks layers, the lowest first, into the tree that overlayfs would show.
///
/// A whiteout hides its name and what is below it, an opaque directory hides what lower layers have
/// in it, a directory that an archive only implied takes the lower directory's metadata, and a
/// [`Kind::LowerLink`] becomes a further name of the inode it names. Where a kind changes, the
/// upper entry replaces the lower one with all below it; a directory over a symbolic link to a
/// directory does too, as in overlayfs. Groups of hard links are kept. The result has no whiteouts
/// and no marks. Source: OCI image specification 1.1, `layer.md#whiteouts`.
///
/// Layers must satisfy [`Tree::validate`].
///
/// # Errors
///
/// [`TreeError::NoLowerTarget`] if a link names nothing below; [`TreeError::NoRoot`] without layers.
pub fn merge(layers: &[&Tree]) -> Result<Tree, TreeError> {
    let mut stack = Vec::new();
    for (layer, tree) in layers.iter().enumerate() {
        stack = stack_one(&stack, layers, layer, tree)?;
    }
    let merged = materialise(&stack, layers)?;
    if merged.entries.is_empty() { Err(TreeError::NoRoot) } else { Ok(merged) }
}

/// Puts layer number `layer` on top of `lower`.
fn stack_one<'a>(
    lower: &[Node<'a>],
    layers: &[&'a Tree],
    layer: usize,
    upper: &'a Tree,
) -> Result<Vec<Node<'a>>, TreeError> {
    let mut out = Vec::with_capacity(lower.len() + upper.entries.len());
    let mut rest = lower;
    for (index, entry) in upper.entries.iter().enumerate() {
        let before = rest.partition_point(|node| path::compare(node.path, &entry.path).is_lt());
        let (kept, tail) = rest.split_at(before);
        out.extend_from_slice(kept);
        let same = tail.first().filter(|node| *node.path == *entry.path);
        rest = if same.is_some() { tail.get(1..).unwrap_or_default() } else { tail };
        let lower_is_directory = same.and_then(|n| holder(layers, n.inode)).is_some_and(is_dir);
        let own = Inode { layer, index: upper.inode_index(index) };
        let (inode, hides) = match &entry.kind {
            Kind::Whiteout => (None, true),
            Kind::Directory { opaque, implied } => {
                let below = same.filter(|_| *implied && lower_is_directory);
                (Some(below.map_or(own, |node| node.inode)), *opaque || !lower_is_directory)
            }
            Kind::LowerLink { path } => (Some(lower_target(lower, layers, entry, path)?), true),
            _ => (Some(own), true),
        };
        if hides {
            let hidden = rest.partition_point(|node| path::is_below(node.path, &entry.path));
            rest = rest.get(hidden..).unwrap_or_default();
        }
        out.extend(inode.map(|inode| Node { path: &entry.path, inode }));
    }
    out.extend_from_slice(rest);
    Ok(out)
}

const fn is_dir(entry: &Entry) -> bool {
    entry.kind.is_directory()
}

fn holder<'a>(layers: &[&'a Tree], inode: Inode) -> Option<&'a Entry> {
    layers.get(inode.layer)?.entries.get(inode.index)
}

fn lower_target(
    lower: &[Node<'_>],
    layers: &[&Tree],
    entry: &Entry,
    target: &[u8],
) -> Result<Inode, TreeError> {
    let found = lower.binary_search_by(|node| path::compare(node.path, target)).ok();
    found
        .and_then(|at| lower.get(at))
        .map(|node| node.inode)
        .filter(|inode| holder(layers, *inode).is_some_and(|entry| !is_dir(entry)))
        .ok_or_else(|| TreeError::NoLowerTarget { path: entry.path.clone(), target: target.into() })
}

/// Turns names into entries; the first name of an inode holds it.
fn materialise(stack: &[Node<'_>], layers: &[&Tree]) -> Result<Tree, TreeError> {
    let mut leaders: Vec<Vec<Option<u32>>> =
        layers.iter().map(|tree| vec![None; tree.entries.len()]).collect();
    let mut entries = Vec::with_capacity(stack.len());
    for node in stack {
        let index = u32::try_from(entries.len()).map_err(|_| TreeError::TooManyEntries)?;
        let Some(inode) = holder(layers, node.inode) else { continue };
        let slot = leaders.get_mut(node.inode.layer).and_then(|l| l.get_mut(node.inode.index));
        let leader = slot.and_then(|slot| {
            let known = *slot;
            slot.get_or_insert(index);
            known
        });
        let path = node.path.into();
        entries.push(match leader {
            Some(entry) if !is_dir(inode) => {
                Entry { path, meta: super::Meta::default(), kind: Kind::HardLink { entry } }
            }
            _ => Entry { path, meta: inode.meta.clone(), kind: without_marks(&inode.kind) },
        });
    }
    Ok(Tree { entries })
}

fn without_marks(kind: &Kind) -> Kind {
    match kind {
        Kind::Directory { .. } => Kind::Directory { opaque: false, implied: false },
        other => other.clone(),
    }
}
