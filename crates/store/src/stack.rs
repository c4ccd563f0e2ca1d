//! The trees to mount for a stack of layers.
//!
//! Most layers are mounted as they are. One that says something about the layers below it (implied
//! directories, links to their files) is resolved into a further tree, which the stack's chain id
//! finds again.

use creel_base::digest::{Digest, ObjectId};
use creel_codec::tree::{self, Kind, Tree, TreeError};

use crate::error::{Result, StoreError};
use crate::recipe::Recipe;
use crate::store::Store;
use crate::transaction::Transaction;

/// The chain id of each layer of a stack, the lowest first: it names the layer together with all
/// below it. The first one's is its diff id.
///
/// Source: OCI image specification 1.1, `config.md#layer-chainid`.
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Option<Digest> = None;
    let next = |diff_id: &Digest| {
        let id = match chain {
            None => *diff_id,
            Some(below) => Digest::sha256(format!("{below} {diff_id}").as_bytes()),
        };
        *chain.insert(id)
    };
    diff_ids.iter().map(next).collect()
}

impl Store {
    /// The trees to mount for these layers, the lowest first, as [`Transaction::stack`] recorded
    /// them; `None` where that has to be done first. One small read a layer.
    pub fn stack(&self, diff_ids: &[Digest]) -> Result<Option<Vec<ObjectId>>> {
        let trees = chain_ids(diff_ids).into_iter().map(|id| Ok(self.recipe(&id)?.map(|r| r.tree)));
        trees.collect()
    }

    /// The tree of a layer's own changes.
    pub(crate) fn layer_tree(&self, diff_id: &Digest) -> Result<ObjectId> {
        let missing = || StoreError::NoLayer { diff_id: Box::new(*diff_id) };
        Ok(self.recipe(diff_id)?.ok_or_else(missing)?.tree)
    }
}

impl Transaction<'_> {
    /// Makes the trees to mount for these layers, the lowest first, and records them in recipes
    /// named by chain ids. Those are derived, and go with the next collection unless
    /// [`crate::References`] names them.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoLayer`] for a layer without recipe; [`StoreError::Stack`] for one that
    /// links to a file that no layer below it has.
    pub fn stack(&self, diff_ids: &[Digest]) -> Result<Vec<ObjectId>> {
        let mut lower = Lower { store: self.store(), diff_ids, trees: Vec::new() };
        let mut stack = Vec::with_capacity(diff_ids.len());
        for (number, (chain_id, diff_id)) in chain_ids(diff_ids).iter().zip(diff_ids).enumerate() {
            let known = self.store().recipe(chain_id)?.map(|recipe| recipe.tree);
            // The lowest layer's chain id is its diff id: that recipe is the layer's own. Nothing
            // is below that could give it another tree, and it is not for a stack to replace.
            let tree = match known.filter(|_| number > 0) {
                Some(tree) => tree,
                None => self.resolve(&mut lower, number, diff_id)?,
            };
            if number > 0 && known != Some(tree) {
                let recipe = Recipe { tree, compressed: Vec::new(), verified: true, taped: false };
                self.put_recipe(chain_id, &recipe)?;
            }
            stack.push(tree);
        }
        Ok(stack)
    }

    /// The tree to mount for layer `number`.
    fn resolve(&self, lower: &mut Lower<'_>, number: usize, diff_id: &Digest) -> Result<ObjectId> {
        let id = self.store().layer_tree(diff_id)?;
        let layer = self.store().tree(&id)?;
        if !depends(&layer) {
            return Ok(id);
        }
        let merged = lower.merged(number)?;
        match merged.and_then(|lower| tree::resolve(&layer, &lower)) {
            Ok(Some(resolved)) => self.put_tree(&resolved),
            Ok(None) => Ok(id),
            Err(source) => {
                Err(StoreError::Stack { diff_id: Box::new(*diff_id), source: Box::new(source) })
            }
        }
    }
}

/// The layers of a stack, read as far up as was needed.
struct Lower<'a> {
    store: &'a Store,
    diff_ids: &'a [Digest],
    trees: Vec<Tree>,
}

impl Lower<'_> {
    /// What overlayfs shows of the lowest `count` layers; an empty tree for none.
    fn merged(&mut self, count: usize) -> Result<core::result::Result<Tree, TreeError>> {
        for diff_id in self.diff_ids.iter().take(count).skip(self.trees.len()) {
            self.trees.push(self.store.tree(&self.store.layer_tree(diff_id)?)?);
        }
        let lower: Vec<&Tree> = self.trees.iter().take(count).collect();
        Ok(if lower.is_empty() { Ok(Tree::default()) } else { tree::merge(&lower) })
    }
}

/// Tells whether a layer says something about those below it.
fn depends(layer: &Tree) -> bool {
    layer.entries.iter().any(|entry| {
        matches!(entry.kind, Kind::Directory { implied: true, .. } | Kind::LowerLink { .. })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_those_of_the_specification() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|text| Digest::sha256(text));
        let ab = Digest::sha256(format!("{a} {b}").as_bytes());
        let abc = Digest::sha256(format!("{ab} {c}").as_bytes());
        assert_eq!(chain_ids(&[a, b, c]), [a, ab, abc]);
        assert_eq!(chain_ids(&[]), []);
    }
}
