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
    /// Whether it came in with a tape, without which its tar cannot be written out again. Earlier
    /// programs did not note it.
    pub taped: bool,
}

#[derive(Serialize, Deserialize)]
struct Form {
    tree: String,
    compressed: Vec<String>,
    verified: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    taped: bool,
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

impl Store {
    /// Writes a recipe in place of the one there was.
    pub(crate) fn write_recipe(&self, diff_id: &Digest, recipe: &Recipe) -> Result<()> {
        let form = Form {
            tree: recipe.tree.hex(),
            compressed: recipe.compressed.iter().map(ToString::to_string).collect(),
            verified: recipe.verified,
            taped: recipe.taped,
        };
        let name = digest_name(diff_id);
        let bytes = serde_json::to_vec(&form)
            .map_err(|error| StoreError::io("write", &self.recipes.path_of(&name))(error.into()))?;
        self.recipes.replace(&name, &bytes)
    }
}

impl Transaction<'_> {
    /// Stores the recipe of a layer, whose tree is in the store, in place of the one it had.
    pub fn put_recipe(&self, diff_id: &Digest, recipe: &Recipe) -> Result<()> {
        let store = self.store();
        store.listing(&recipe.tree)?;
        store.write_recipe(diff_id, recipe)
    }
}

impl Form {
    fn parse(self) -> Option<Recipe> {
        let compressed =
            self.compressed.iter().map(|digest| digest.parse().ok()).collect::<Option<_>>()?;
        let tree = ObjectId::from_hex(&self.tree)?;
        Some(Recipe { tree, compressed, verified: self.verified, taped: self.taped })
    }
}

/// As `serde` asks for it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A digest as a file name.
pub(crate) fn digest_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format does not change without a new version: `docs/formats/store.md`.
    #[test]
    fn golden_recipes() {
        let tree = "0".repeat(64);
        let bare = format!(r#"{{"tree":"{tree}","compressed":[],"verified":true}}"#);
        let taped = format!(r#"{{"tree":"{tree}","compressed":[],"verified":true,"taped":true}}"#);
        for (text, expected) in [(bare, false), (taped, true)] {
            let form: Form = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&form).unwrap(), text);
            assert_eq!(form.parse().unwrap().taped, expected);
        }
    }
}
