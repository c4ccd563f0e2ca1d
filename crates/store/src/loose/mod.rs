//! Loose stores: every tree is a directory, a layer of overlayfs as it stands.
//!
//! `checkouts/TREE` has a tree's files with the owners of the tree, `checkouts/TREE.caller` with the
//! caller's, where only one id is mapped, and `checkouts/TREE.ids-NAME` with those of a user namespace
//! whose layers the kernel does not map; the last are copies that can be made again. What the kernel refuses to a user namespace is left out
//! (device nodes, some attributes), and so are links into lower layers; the listing keeps all that.

pub(crate) mod check;
mod known;
mod place;
pub(crate) mod staging;
mod upkeep;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use creel_base::digest::ObjectId;
use creel_base::path::Dir;
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::Tree;

use crate::checkout::Owners;
use crate::config::Backend;
use crate::error::{Result, StoreError};
use crate::ids::Ids;
use crate::store::Store;
use crate::transaction::Transaction;
use staging::Staging;

/// Ending of the names of checkouts whose files are all the caller's.
const CALLER: &str = ".caller";
/// Before the name of the ids in the names of checkouts with ids of their own.
const MAPPED: &str = ".ids-";
/// In the order in which a checkout is looked for.
const BOTH: [Owners; 2] = [Owners::AsInTree, Owners::Caller];

/// The name of a tree's checkout.
fn checkout_name(tree: &ObjectId, owners: Owners) -> String {
    let hex = tree.hex();
    match owners {
        Owners::AsInTree => hex,
        Owners::Caller => hex + CALLER,
        Owners::Mapped(ids) => hex + MAPPED + &ids.name(),
    }
}

/// The tree that a checkout is of, by the name of the checkout.
fn tree_of(name: &[u8]) -> Option<ObjectId> {
    let text = core::str::from_utf8(name).ok()?;
    let hex = text.strip_suffix(CALLER).or_else(|| Some(text.split_once(MAPPED)?.0));
    ObjectId::from_hex(hex.unwrap_or(text))
}

/// The marks of overlayfs that this process can set and mount with: `trusted.` is for the initial
/// user namespace only.
fn marks() -> OverlayMarks {
    // One line for each range: id inside, id outside, length (user_namespaces(7)).
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let all = ["0", "0", "4294967295"];
    let initial = map.is_empty() || map.split_whitespace().eq(all);
    if initial { OverlayMarks::Trusted } else { OverlayMarks::User }
}

impl Store {
    /// The directory that holds a tree, to be a lower layer of overlayfs. Made again from other
    /// checkouts where it is missing.
    ///
    /// While it is in use, the tree must be among [`crate::References::pinned`]. Nothing may be
    /// changed in it: its files may be those of other checkouts too.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongBackend`] in a packed store; [`StoreError::NoCheckout`] where some
    /// contents are gone.
    pub fn directory(&self, tree: &ObjectId) -> Result<PathBuf> {
        if self.description().backend != Backend::Loose {
            return Err(StoreError::WrongBackend { what: "a tree's directory", backend: "loose" });
        }
        if let Some((path, _)) = self.existing_directory(tree)? {
            return Ok(path);
        }
        let entries = self.tree(tree)?;
        let missing = || StoreError::NoCheckout { tree: *tree };
        match self.begin()?.make_checkout(&entries) {
            Err(StoreError::NoObject { .. }) => return Err(missing()),
            made => made?,
        };
        self.existing_directory(tree)?.map(|(path, _)| path).ok_or_else(missing)
    }

    /// The directory that holds a tree with the ids of a user namespace as owners, as
    /// [`Store::directory`] does with those of the tree. Made as a copy where it is missing, which
    /// shares blocks with the tree's own directory if the file system can.
    ///
    /// # Errors
    ///
    /// Those of [`Store::directory`], and [`StoreError::NotMapped`] for an owner that the namespace
    /// does not have.
    pub fn mapped_directory(&self, tree: &ObjectId, ids: Ids) -> Result<PathBuf> {
        let owners = Owners::Mapped(ids);
        if !self.has_checkout(tree, owners)? {
            // Its contents come from there.
            self.directory(tree)?;
            let _lease = self.begin()?;
            Staging::new(self, owners)?.finish(self, &self.tree(tree)?)?;
        }
        Ok(self.checkouts.path_of(checkout_name(tree, owners)))
    }

    /// The directory of a tree that is there, in this store or an alternate, and whose its files are.
    pub(crate) fn existing_directory(&self, tree: &ObjectId) -> Result<Option<(PathBuf, Owners)>> {
        for owners in BOTH {
            if self.has_checkout(tree, owners)? {
                return Ok(Some((self.checkouts.path_of(checkout_name(tree, owners)), owners)));
            }
        }
        for alternate in &self.alternates {
            if let Some(found) = alternate.existing_directory(tree)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn has_checkout(&self, tree: &ObjectId, owners: Owners) -> Result<bool> {
        Ok(self.checkouts.sub(checkout_name(tree, owners))?.is_some())
    }

    /// The tree's checkouts with ids of other user namespaces as owners.
    fn open_copies(&self, tree: &ObjectId) -> Result<Vec<Dir>> {
        let start = tree.hex() + MAPPED;
        let mut found = Vec::new();
        for name in self.checkouts.names()? {
            if name.starts_with(start.as_bytes()) {
                let dir = self.checkouts.sub(OsStr::from_bytes(&name))?;
                found.extend(dir.map(|dir| dir.to_base()).transpose()?);
            }
        }
        Ok(found)
    }

    fn open_checkout(&self, tree: &ObjectId, owners: Owners) -> Result<Option<Dir>> {
        self.checkouts.sub(checkout_name(tree, owners))?.map(|dir| dir.to_base()).transpose()
    }
}

impl Transaction<'_> {
    /// Stores a tree whose contents are all in other checkouts.
    pub(crate) fn make_checkout(&self, tree: &Tree) -> Result<ObjectId> {
        let with = |owners| Staging::new(self.store(), owners)?.finish(self.store(), tree);
        match with(Owners::AsInTree) {
            // Others have only checkouts of the caller's, or nothing else can be made here.
            Err(StoreError::NoObject { .. } | StoreError::NotMapped { .. }) => with(Owners::Caller),
            result => result,
        }
    }
}
