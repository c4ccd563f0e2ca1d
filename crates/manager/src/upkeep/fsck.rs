//! Whether a store is whole, in terms of images.

use std::collections::{BTreeSet, HashMap, HashSet};

use creel_base::digest::{Digest, ObjectId};
use creel_base::reference::Reference;
use creel_store::{Difference, Mode, Problem, chain_ids};
use serde::Serialize;

use super::UpkeepError;
use super::inventory::{Needs, contents};
use crate::Engine;
use crate::trees::text;

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Check {
    /// What is wrong; empty for a store that is whole.
    pub problems: Vec<Finding>,
    /// Names of images that are not whole and have to be pulled or made again.
    pub broken_images: Vec<String>,
    /// Whether what was damaged has been dropped.
    pub repaired: bool,
}

/// One thing that is damaged or missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is: `object`, `tree`, `erofs image`, `checkout`, `file`, `blob`, `layer`, `index`,
    /// `merged index` or `reference`.
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

impl Finding {
    /// Tells whether dropping it loses nothing.
    pub fn is_derived(&self) -> bool {
        [DERIVED, MERGED].contains(&self.what)
    }
}

impl Engine {
    /// Reads everything in the store, and says what is damaged or missing and which images that
    /// hits. With [`Mode::Repair`] drops what is damaged, so that a new pull restores it.
    ///
    /// # Errors
    ///
    /// [`UpkeepError`] for what keeps the check from going on.
    pub fn check(&self, mode: Mode) -> Result<Check, UpkeepError> {
        // Before anything is dropped: afterwards nothing leads from the images to it.
        let inventory = self.inventory()?;
        let mut hit = Hit::new(self, &inventory);
        let problems = self.store.check(mode)?;
        hit.lost = lost(&problems);
        let mut found: Vec<Finding> = problems.iter().map(|problem| hit.finding(problem)).collect();
        for needs in &inventory {
            found.extend(needs.missing.iter().map(|missing| Finding {
                what: missing.what,
                name: missing.name.clone(),
                problem: "is missing".into(),
                images: needs.names.clone(),
            }));
        }
        let broken: BTreeSet<&String> = found.iter().flat_map(|found| &found.images).collect();
        let broken_images = broken.into_iter().cloned().collect();
        Ok(Check { problems: found, broken_images, repaired: mode == Mode::Repair })
    }
}

/// The objects that are in no index that can be read.
fn lost(problems: &[Problem]) -> HashSet<ObjectId> {
    let objects = problems.iter().map(|problem| match problem {
        Problem::MissingObject { object, .. } => Some(*object),
        _ => None,
    });
    objects.flatten().collect()
}

/// The way back from damaged things to images.
struct Hit<'a> {
    inventory: &'a [Needs],
    /// The objects that no index has.
    lost: HashSet<ObjectId>,
    /// The contents of each.
    contents: Vec<HashMap<ObjectId, u64>>,
}

impl<'a> Hit<'a> {
    fn new(engine: &Engine, inventory: &'a [Needs]) -> Self {
        let contents = |needs: &Needs| contents(&engine.store, &needs.trees);
        let contents = inventory.iter().map(contents).collect();
        Self { inventory, lost: HashSet::new(), contents }
    }

    fn finding(&self, problem: &Problem) -> Finding {
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
    let name = String::from_utf8_lossy(name).into_owned();
    if name.parse::<Reference>().is_ok() { vec![name] } else { Vec::new() }
}

const fn difference(what: Difference) -> &'static str {
    match what {
        Difference::Missing => "is missing",
        Difference::Extra => "does not belong there",
        Difference::Content => "has another content",
        Difference::Metadata => "has other metadata",
    }
}
