//! Whether the EROFS image of a tree is what the tree's listing says.

use std::collections::HashMap;

use creel_base::digest::ObjectId;
use creel_codec::erofs::{self, Content, Limits};
use creel_codec::tree::{Kind, Tree};

use crate::damage::unless_damaged;
use crate::error::{Result, StoreError};
use crate::image::{image_name, read_devices};
use crate::pack::{BLOCK, PackId};
use crate::store::Store;

/// Largest image that is read, in bytes: 4 GiB, which holds 16 million names.
const LIMIT: u64 = 4 << 30;

impl Store {
    /// Reads the image of a tree back and compares the two. An image is good if nothing would read
    /// anything wrong from it, so also if there is none, if it points at packs that have gone (it is
    /// made again before it is used), and if there is no listing or no index that it could be
    /// compared with.
    pub(crate) fn image_is_good(&self, id: &ObjectId) -> Result<bool> {
        let name = image_name(id);
        let Some(file) = self.trees.open_file(&name)? else { return Ok(true) };
        let Some(tree) = unless_damaged(self.tree(id))? else { return Ok(true) };
        let packs = read_devices(&file);
        let packs = packs.map_err(StoreError::io("read", &self.trees.path_of(&name)))?;
        let Some(packs) = packs else { return Ok(false) };
        for pack in &packs {
            match self.objects.pack(*pack) {
                Err(StoreError::NoPack { .. }) => return Ok(true),
                opened => drop(opened?),
            }
        }
        let Some(image) = self.trees.read(&name, LIMIT)? else { return Ok(true) };
        let Some(places) = self.places(&tree, &packs)? else { return Ok(true) };
        let object = |content: &Content| match content {
            Content::Inline(bytes) => Some(ObjectId::of(bytes)),
            Content::Chunk { device, block, .. } => {
                let pack = packs.get(usize::from(*device))?;
                places.get(&(*pack, u64::from(*block))).copied()
            }
        };
        let found = erofs::read(&image, &object, &Limits::default());
        Ok(found.is_ok_and(|found| found == as_mounted(tree)))
    }

    /// Where the contents of a tree lie in these packs, by pack and block; `None` where an index is
    /// damaged. Merged indexes are not asked: what one got wrong would confirm itself.
    fn places(&self, tree: &Tree, packs: &[PackId]) -> Result<Option<Places>> {
        let mut places = HashMap::new();
        for pack in packs {
            let Some(index) = self.objects.index_of(*pack)? else { return Ok(None) };
            for entry in &tree.entries {
                let Kind::File { object, .. } = entry.kind else { continue };
                let Some(records) = unless_damaged(index.find(&object))? else { return Ok(None) };
                let blocks = records.iter().map(|record| record.at.offset / BLOCK);
                places.extend(blocks.map(|block| ((*pack, block), object)));
            }
        }
        Ok(Some(places))
    }
}

/// Objects by pack and block.
type Places = HashMap<(PackId, u64), ObjectId>;

/// A tree as its image shows it: a directory that its archive only implied is one like others.
fn as_mounted(mut tree: Tree) -> Tree {
    for entry in &mut tree.entries {
        if let Kind::Directory { implied, .. } = &mut entry.kind {
            *implied = false;
        }
    }
    tree
}
