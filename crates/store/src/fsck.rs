//! Checking a store: every damaged or missing thing is found and named.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use creel_base::digest::{Digest, ObjectId};

use crate::config::Backend;
use crate::damage::unless_damaged;
use crate::error::Result;
use crate::gc::objects_of;
use crate::image;
use crate::lock::{self, Kind, Wait};
use crate::pack::PackId;
use crate::recipe::{Recipe, digest_name};
use crate::store::{LEASE, Store};
use crate::tape::SUFFIX;

/// What a check may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Report only.
    Check,
    /// Drop what is damaged, so that a new pull restores it.
    Repair,
}

/// Something wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The index of a pack is damaged. Objects that no other has are named as missing too.
    Index(PackId),
    /// A merged index, of this file name, is damaged or does not say what those of its packs say. It
    /// is derived from them.
    Merged(Vec<u8>),
    /// An object is in a pack that does not exist or does not hold its content.
    Object(ObjectId, PackId),
    /// A tree names an object that is in no pack.
    MissingObject {
        /// The tree.
        tree: ObjectId,
        /// The object.
        object: ObjectId,
    },
    /// A loose store has no checkout of a tree.
    MissingCheckout(ObjectId),
    /// A file of a checkout is not what the tree says.
    File {
        /// The tree.
        tree: ObjectId,
        /// The path in it.
        path: Vec<u8>,
        /// How it differs.
        what: Difference,
    },
    /// A listing is damaged, or is not one.
    Tree(ObjectId),
    /// The EROFS image of this tree is not what the listing says.
    Image(ObjectId),
    /// A blob is damaged.
    Blob(Digest),
    /// A recipe is damaged, or names a tree that is not here: of the layer with this diff id.
    Recipe(Digest),
    /// The tape is damaged or missing by which the archive of the layer with this diff id is made again.
    Tape(Digest),
    /// A reference is damaged or no file at all, or names what is neither a blob nor a tree nor a
    /// layer here.
    Reference(Vec<u8>),
    /// A reference cannot be read. Repair leaves it: it may be whole.
    UnreadableReference {
        /// Its name.
        name: Vec<u8>,
        /// What keeps it from being read.
        why: String,
    },
}

/// How a file differs from what a tree says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing,
    /// It is there, but not in the tree.
    Extra,
    /// It has another content, or is of another kind.
    Content,
    /// It has another owner, mode, time, attributes or other names.
    Metadata,
}

impl Store {
    /// Reads everything and returns what is wrong; with [`Mode::Repair`] drops it too, writers
    /// being waited for.
    pub fn check(&self, mode: Mode) -> Result<Vec<Problem>> {
        let _lease = match mode {
            Mode::Check => self.reader_lease()?,
            Mode::Repair => {
                self.writable()?;
                lock::take(&self.root, LEASE, Kind::Exclusive, Wait::Forever)?
            }
        };
        let mut problems = Vec::new();
        // Before the packs: their contents are in packs that are looked at, whoever writes meanwhile.
        let trees = self.trees.names()?;
        let there = self.check_packs(mode, &mut problems)?;
        self.check_trees(&trees, &there, mode, &mut problems)?;
        self.check_blobs(mode, &mut problems)?;
        self.check_recipes(mode, &mut problems)?;
        self.check_references(mode, &mut problems)?;
        Ok(problems)
    }

    /// `there` are the objects of this store.
    fn check_trees(
        &self,
        names: &[Vec<u8>],
        there: &HashSet<ObjectId>,
        mode: Mode,
        problems: &mut Vec<Problem>,
    ) -> Result<()> {
        for name in names {
            if let Some(tree) = name.strip_suffix(image::SUFFIX.as_bytes()) {
                self.check_image(tree, problems)?;
                // What is derived may point at what was dropped; it is made again.
                if mode == Mode::Repair {
                    self.discard(&self.trees, OsStr::from_bytes(name))?;
                }
                continue;
            }
            let Some(tree) = core::str::from_utf8(name).ok().and_then(ObjectId::from_hex) else {
                continue;
            };
            let before = problems.len();
            match self.description().backend {
                Backend::Packed => self.check_objects(&tree, there, problems)?,
                Backend::Loose => self.check_checkouts(&tree, problems)?,
            }
            if mode == Mode::Repair && problems.len() > before {
                self.discard(&self.trees, OsStr::from_bytes(name))?;
            }
        }
        if mode == Mode::Check {
            return Ok(());
        }
        self.trees.sync()?;
        // Those whose listings have just gone, and those that never had one.
        let whole = self.trees()?;
        self.sweep_checkouts(|tree| whole.contains(tree)).map(drop)
    }

    fn check_image(&self, name: &[u8], problems: &mut Vec<Problem>) -> Result<()> {
        if let Some(tree) = core::str::from_utf8(name).ok().and_then(ObjectId::from_hex)
            && !self.image_is_good(&tree)?
        {
            problems.push(Problem::Image(tree));
        }
        Ok(())
    }

    fn check_objects(
        &self,
        tree: &ObjectId,
        there: &HashSet<ObjectId>,
        problems: &mut Vec<Problem>,
    ) -> Result<()> {
        let objects = self.listing(tree).and_then(|listing| objects_of(&listing));
        let Some(objects) = unless_damaged(objects)? else {
            problems.push(Problem::Tree(*tree));
            return Ok(());
        };
        for object in objects {
            if !there.contains(&object) && !self.objects.is_in_alternates(&object)? {
                problems.push(Problem::MissingObject { tree: *tree, object });
            }
        }
        Ok(())
    }

    fn check_blobs(&self, mode: Mode, problems: &mut Vec<Problem>) -> Result<()> {
        for (dir, algorithm) in self.blobs.iter().zip(["sha256", "sha512"]) {
            for name in dir.names()? {
                let text = format!("{algorithm}:{}", String::from_utf8_lossy(&name));
                let Ok(digest) = text.parse::<Digest>() else { continue };
                if unless_damaged(self.blob(&digest))?.is_none() {
                    problems.push(Problem::Blob(digest));
                    if mode == Mode::Repair {
                        self.discard(dir, OsStr::from_bytes(&name))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_recipes(&self, mode: Mode, problems: &mut Vec<Problem>) -> Result<()> {
        for name in self.recipes.names()? {
            if let Some(recipe) = name.strip_suffix(SUFFIX.as_bytes()) {
                self.check_tape_of(recipe, mode, problems)?;
                continue;
            }
            let text = String::from_utf8_lossy(&name).replacen('-', ":", 1);
            let Ok(diff_id) = text.parse::<Digest>() else { continue };
            let recipe = self.recipe(&diff_id);
            // One that has gone since has no tree either.
            let tree =
                recipe.and_then(|recipe| recipe.map(|it| self.listing(&it.tree)).transpose());
            if unless_damaged(tree)?.is_some() {
                self.check_for_tape(&diff_id, problems)?;
            } else {
                problems.push(Problem::Recipe(diff_id));
                if mode == Mode::Repair {
                    self.discard(&self.recipes, OsStr::from_bytes(&name))?;
                }
            }
        }
        if mode == Mode::Repair { self.recipes.sync() } else { Ok(()) }
    }

    fn check_tape_of(&self, recipe: &[u8], mode: Mode, problems: &mut Vec<Problem>) -> Result<()> {
        let text = String::from_utf8_lossy(recipe).replacen('-', ":", 1);
        let Ok(diff_id) = text.parse::<Digest>() else { return Ok(()) };
        if unless_damaged(self.check_tape(&diff_id))?.is_none() {
            problems.push(Problem::Tape(diff_id));
            if mode == Mode::Repair {
                self.note_tape(&diff_id)?;
                self.recipes.remove(format!("{}{SUFFIX}", digest_name(&diff_id)))?;
            }
        }
        Ok(())
    }

    /// Finds a layer that lacks the tape it came with; a damaged one is found by its own name.
    fn check_for_tape(&self, diff_id: &Digest, problems: &mut Vec<Problem>) -> Result<()> {
        let taped = self.recipe(diff_id)?.is_some_and(|recipe| recipe.taped);
        if taped && matches!(unless_damaged(self.open_tape(diff_id))?, Some(None)) {
            problems.push(Problem::Tape(*diff_id));
        }
        Ok(())
    }

    /// Notes that a layer has a tape, before it is dropped: it would be missed no more.
    fn note_tape(&self, diff_id: &Digest) -> Result<()> {
        match unless_damaged(self.recipe(diff_id))?.flatten() {
            Some(recipe) if !recipe.taped => {
                self.write_recipe(diff_id, &Recipe { taped: true, ..recipe })
            }
            _ => Ok(()),
        }
    }
}
