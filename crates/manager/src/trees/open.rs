//! From a name to a tree.

use creel_base::digest::{Digest, ObjectId};
use creel_codec::tree::{Kind, Tree, merge};
use creel_store::{FileReader, Store, StoreError};

use super::row::name_of;
use super::{TreesError, lookup};
use crate::Engine;
use crate::images::{Image, ImageError};

/// Fewest digits of an id that stand for it.
const MIN_DIGITS: usize = 4;

/// The files of an image, of one of its layers, or of a tree.
#[derive(Debug)]
pub struct View {
    /// What is to be seen: of an image, all layers merged.
    pub tree: Tree,
    /// The trees in the store that it is made of, the lowest first.
    layers: Vec<(ObjectId, Tree)>,
}

impl View {
    /// Shows one tree of the store as it is, whiteouts and all.
    ///
    /// # Errors
    ///
    /// Those of [`Store::tree`].
    pub fn of_tree(store: &Store, id: ObjectId) -> Result<Self, TreesError> {
        let tree = store.tree(&id)?;
        Ok(Self { layers: vec![(id, tree.clone())], tree })
    }

    /// Merges layer trees, the lowest first, of the image called `name` in errors.
    ///
    /// # Errors
    ///
    /// Those of [`Store::tree`], and [`TreesError::Merge`].
    pub fn of_layers(store: &Store, ids: &[ObjectId], name: &str) -> Result<Self, TreesError> {
        let read = ids.iter().map(|id| Ok((*id, store.tree(id)?)));
        let layers: Vec<(ObjectId, Tree)> = read.collect::<Result<_, StoreError>>()?;
        let trees: Vec<&Tree> = layers.iter().map(|(_, tree)| tree).collect();
        let tree =
            merge(&trees).map_err(|source| TreesError::Merge { name: name.to_owned(), source })?;
        Ok(Self { tree, layers })
    }

    /// The ids of the trees that it is made of, the lowest first.
    pub fn layers(&self) -> Vec<ObjectId> {
        self.layers.iter().map(|(id, _)| *id).collect()
    }

    /// Opens the file that a path leads to.
    ///
    /// # Errors
    ///
    /// Those of [`lookup`], [`TreesError::NotAFile`], and those of the store.
    pub fn open(&self, store: &Store, path: &[u8]) -> Result<FileReader, TreesError> {
        let index = lookup(&self.tree, path)?;
        let path = self.tree.entries.get(index).map(|entry| entry.path.to_vec());
        let path = path.unwrap_or_default();
        let kind = self.tree.inode(index).map(|inode| &inode.kind);
        let Some(kind @ Kind::File { object, .. }) = kind else {
            return Err(TreesError::NotAFile { path, kind: kind.map_or("nothing", name_of) });
        };
        // Any name of the same content will do: of the layers' own, as only those are in the store.
        let same = |tree: &Tree| {
            let at = tree.entries.iter().position(|entry| entry.kind == *kind)?;
            tree.entries.get(at).map(|entry| entry.path.clone())
        };
        let found = self.layers.iter().rev().find_map(|(id, tree)| Some((id, same(tree)?)));
        let (id, name) = found.ok_or(StoreError::NoObject { id: *object })?;
        Ok(store.open_file(id, &name)?)
    }
}

impl Engine {
    /// Opens what `name` names: an image as [`Engine::image`] finds it, or `IMAGE#N`, its Nth layer
    /// from 1 at the bottom, or a tree by its id or the beginning of one.
    ///
    /// # Errors
    ///
    /// [`TreesError`].
    pub fn view(&self, name: &str) -> Result<View, TreesError> {
        let (image_name, layer) = match name.split_once('#') {
            Some((image, layer)) => (image, Some(layer)),
            None => (name, None),
        };
        let image = match self.image(image_name) {
            Ok(image) => image,
            Err(ImageError::NotFound { .. } | ImageError::Name { .. }) if layer.is_none() => {
                let id = by_id(&self.store, name)?;
                let id = id.ok_or_else(|| TreesError::Unknown { name: name.to_owned() })?;
                return View::of_tree(&self.store, id);
            }
            Err(error) => return Err(error.into()),
        };
        match layer {
            None => View::of_layers(&self.store, &self.layer_trees(&image)?, name),
            Some(layer) => self.view_layer(&image, image_name, layer),
        }
    }

    fn view_layer(&self, image: &Image, name: &str, layer: &str) -> Result<View, TreesError> {
        let trees = self.layer_trees(image)?;
        let number = layer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        match number.and_then(|number| trees.get(number)) {
            Some(tree) => View::of_tree(&self.store, *tree),
            None => Err(TreesError::NoLayer {
                name: name.to_owned(),
                layer: layer.to_owned(),
                count: trees.len(),
            }),
        }
    }

    /// The trees of an image's layers as they came, the lowest first: unlike [`Engine::layers`], in
    /// which what a layer says of those below it is resolved.
    pub(crate) fn layer_trees(&self, image: &Image) -> Result<Vec<ObjectId>, StoreError> {
        let tree = |diff_id: &Digest| {
            let missing = || StoreError::NoLayer { diff_id: Box::new(*diff_id) };
            Ok(self.store.recipe(diff_id)?.ok_or_else(missing)?.tree)
        };
        image.config.rootfs.diff_ids.iter().map(tree).collect()
    }
}

/// The tree whose id is, or begins with, these hex digits; `None` where they are no digits or too
/// few.
///
/// # Errors
///
/// [`TreesError::Ambiguous`], and those of listing the store.
pub(super) fn by_id(store: &Store, name: &str) -> Result<Option<ObjectId>, TreesError> {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() < MIN_DIGITS || !hex {
        return Ok(None);
    }
    if let Some(id) = ObjectId::from_hex(digits) {
        // Also one of an alternate store, which is not listed.
        return Ok(store.tree(&id).is_ok().then_some(id));
    }
    let mut found: Vec<ObjectId> = store.trees()?;
    found.retain(|id| id.hex().starts_with(digits));
    match found.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(*id)),
        _ => Err(TreesError::Ambiguous { prefix: name.to_owned(), count: found.len() }),
    }
}
