//! What is wrong with a store, in terms of images.

use std::collections::{HashMap, HashSet};

use creel_base::digest::{Digest, ObjectId};
use creel_store::{Difference, Mended, Problem, chain_ids};
use serde::Serialize;

use super::inventory::{Missing, Needs, contents};
use crate::Engine;
use crate::images::as_name;
use crate::trees::text;

/// One thing that is damaged or missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is: `description`, `directory`, `object`, `tree`, `erofs image`, `checkout`, `file`,
    /// `blob`, `layer`, `index`, `merged index` or `reference`.
    pub what: &'static str,
    /// Its name: a digest, an id, or the name of a reference.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
    /// Names of the images that it hits.
    pub images: Vec<String>,
}

/// What is made of other things in the store, and is made again when it is next used.
const DERIVED: &str = "erofs image";
/// What saves look-ups, and is made again when it is worth it.
const MERGED: &str = "merged index";
/// What a store does not open without.
const DESCRIPTION: &str = "description";
const DIRECTORY: &str = "directory";

impl Finding {
    /// Something that an image leads to and the store lacks.
    pub(super) fn missing(missing: &Missing, needs: &Needs) -> Self {
        let (name, images) = (missing.name.clone(), needs.names.clone());
        Self { what: missing.what, name, problem: "is missing".into(), images }
    }

    /// Something that had to be made again before the store could be opened.
    pub(super) fn mended(mended: &Mended) -> Self {
        let (what, name, problem) = match *mended {
            Mended::Description => (DESCRIPTION, "store.json", "was damaged or missing"),
            Mended::Directory("refs") => (
                DIRECTORY,
                "refs",
                "was missing, and all names are lost: `creel tag` names again what `creel images --all` lists",
            ),
            Mended::Directory(name) => (DIRECTORY, name, "was missing"),
        };
        let images = Vec::new();
        Self { what, name: name.to_owned(), problem: problem.to_owned(), images }
    }

    /// Tells whether dropping it loses nothing.
    pub fn is_derived(&self) -> bool {
        [DERIVED, MERGED].contains(&self.what)
    }

    /// Tells whether nothing at all goes without it.
    pub fn is_vital(&self) -> bool {
        [DESCRIPTION, DIRECTORY].contains(&self.what)
    }
}

/// The objects that are in no index that can be read.
pub(super) fn lost(problems: &[Problem]) -> HashSet<ObjectId> {
    let objects = problems.iter().map(|problem| match problem {
        Problem::MissingObject { object, .. } => Some(*object),
        _ => None,
    });
    objects.flatten().collect()
}

/// The way back from damaged things to images.
pub(super) struct Hit<'a> {
    inventory: &'a [Needs],
    /// The objects that no index has.
    pub(super) lost: HashSet<ObjectId>,
    /// The contents of each.
    contents: Vec<HashMap<ObjectId, u64>>,
}

impl<'a> Hit<'a> {
    /// Looks at what the images need, before anything is dropped.
    pub(super) fn new(engine: &Engine, inventory: &'a [Needs]) -> Self {
        let contents = |needs: &Needs| contents(&engine.store, &needs.trees);
        let contents = inventory.iter().map(contents).collect();
        Self { inventory, lost: HashSet::new(), contents }
    }

    /// Says what a problem is, and which images it hits.
    pub(super) fn finding(&self, problem: &Problem) -> Finding {
        let (what, name, words, images) = match problem {
            Problem::Index(pack) => {
                let words = "is damaged, and what no other index has is lost";
                ("index", pack.to_string(), words, self.with_lost())
            }
            Problem::Merged(index) => {
                (MERGED, text(index), "does not say what the indexes of its packs say", Vec::new())
            }
            Problem::Object(object, _) => {
                ("object", object.hex(), "is damaged", self.with_object(object))
            }
            Problem::MissingObject { object, tree } => {
                let mut images = self.with_object(object);
                images.extend(self.with(|needs| needs.trees.contains(tree)));
                images.sort();
                images.dedup();
                ("object", object.hex(), "is missing", images)
            }
            Problem::MissingCheckout(tree) => {
                let images = self.with(|needs| needs.trees.contains(tree));
                ("checkout", tree.hex(), "is missing", images)
            }
            Problem::File { tree, path, what } => {
                let images = self.with(|needs| needs.trees.contains(tree));
                let name = format!("{}/{}", tree.hex(), text(path));
                ("file", name, difference(*what), images)
            }
            Problem::Tree(tree) => {
                let images = self.with(|needs| needs.trees.contains(tree));
                ("tree", tree.hex(), "is damaged", images)
            }
            Problem::Image(tree) => {
                (DERIVED, tree.hex(), "is not what the tree's listing says", Vec::new())
            }
            Problem::Blob(blob) => {
                let images = self.with(|needs| needs.blobs.contains(blob));
                ("blob", blob.to_string(), "is damaged", images)
            }
            Problem::Recipe(layer) => {
                let words = "has a damaged recipe, or one that leads nowhere";
                ("layer", layer.to_string(), words, self.with_layer(layer))
            }
            Problem::Tape(layer) => {
                let words = "cannot be written out again: its tape is damaged or missing";
                ("layer", layer.to_string(), words, self.with_layer(layer))
            }
            Problem::Reference(name) => {
                ("reference", text(name), "is damaged or leads nowhere", image(name))
            }
            Problem::UnreadableReference { name, why } => {
                let problem = format!("cannot be read, and stays: {why}");
                let (what, images) = ("reference", image(name));
                return Finding { what, name: text(name), problem, images };
            }
        };
        Finding { what, name, problem: words.into(), images }
    }

    fn with(&self, needed: impl Fn(&Needs) -> bool) -> Vec<String> {
        let hit = self.inventory.iter().filter(|needs| needed(needs));
        hit.flat_map(|needs| needs.names.clone()).collect()
    }

    fn with_object(&self, object: &ObjectId) -> Vec<String> {
        let images = self.inventory.iter().zip(&self.contents);
        let hit = images.filter(|(_, contents)| contents.contains_key(object));
        hit.flat_map(|(needs, _)| needs.names.clone()).collect()
    }

    /// The images that need an object which no index has.
    fn with_lost(&self) -> Vec<String> {
        let images = self.inventory.iter().zip(&self.contents);
        let hit =
            images.filter(|(_, contents)| self.lost.iter().any(|it| contents.contains_key(it)));
        hit.flat_map(|(needs, _)| needs.names.clone()).collect()
    }

    fn with_layer(&self, layer: &Digest) -> Vec<String> {
        self.with(|needs| {
            needs.diff_ids.contains(layer) || chain_ids(&needs.diff_ids).contains(layer)
        })
    }
}

/// The image that has a name; none where it is not one of an image.
fn image(name: &[u8]) -> Vec<String> {
    as_name(name).iter().map(ToString::to_string).collect()
}

const fn difference(what: Difference) -> &'static str {
    match what {
        Difference::Missing => "is missing",
        Difference::Extra => "does not belong there",
        Difference::Content => "has another content",
        Difference::Metadata => "has other metadata",
    }
}
