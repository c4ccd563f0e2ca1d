//! What is known of a layer: which tree it unpacks to, and its digests in compressed form.

use creel_base::digest::{Digest, ObjectId};
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};
use crate::store::Store;
use crate::transaction::Transaction;

/// Longest recipe read, in bytes.
const LIMIT: u64 = 1 << 20;

/// What is known of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The tree of its changes.
    pub tree: ObjectId,
    /// Digests under which it is known in compressed form.
    pub compressed: Vec<Digest>,
    /// Whether all of it was checked against its diff id; false after a partial pull.
    pub verified: bool,
}

#[derive(Serialize, Deserialize)]
struct Form {
    tree: String,
    compressed: Vec<String>,
    verified: bool,
}

impl Store {
    /// Reads the recipe of the layer with this diff id; `None` when there is none.
    pub fn recipe(&self, diff_id: &Digest) -> Result<Option<Recipe>> {
        let name = digest_name(diff_id);
        let Some(bytes) = self.recipes.read(&name, LIMIT)? else {
            return self
                .alternates
                .iter()
                .find_map(|store| store.recipe(diff_id).transpose())
                .transpose();
        };
        let form: Option<Form> = serde_json::from_slice(&bytes).ok();
        form.and_then(Form::parse)
            .map(Some)
            .ok_or_else(|| StoreError::damaged(&self.recipes.path_of(name), "not a recipe"))
    }
}

impl Transaction<'_> {
    /// Stores the recipe of a layer, whose tree is in the store, in place of the one it had.
    pub fn put_recipe(&self, diff_id: &Digest, recipe: &Recipe) -> Result<()> {
        let store = self.store();
        store.listing(&recipe.tree)?;
        let form = Form {
            tree: recipe.tree.hex(),
            compressed: recipe.compressed.iter().map(ToString::to_string).collect(),
            verified: recipe.verified,
        };
        let name = digest_name(diff_id);
        let bytes = serde_json::to_vec(&form).map_err(|error| {
            StoreError::io("write", &store.recipes.path_of(&name))(error.into())
        })?;
        store.recipes.replace(&name, &bytes)
    }
}

impl Form {
    fn parse(self) -> Option<Recipe> {
        let compressed =
            self.compressed.iter().map(|digest| digest.parse().ok()).collect::<Option<_>>()?;
        Some(Recipe { tree: ObjectId::from_hex(&self.tree)?, compressed, verified: self.verified })
    }
}

/// A digest as a file name.
pub(crate) fn digest_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}
