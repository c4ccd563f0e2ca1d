//! Checking references: whatever lies among them, the check goes on.

use std::ffi::OsStr;
use std::io;

use creel_base::digest::{Digest, ObjectId};

use crate::damage::unless_damaged;
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::fsck::{Mode, Problem};
use crate::names;
use crate::store::Store;

/// Where repair puts directories that do not belong where they are: creel did not make them, and
/// someone may miss what is in them.
const LOST: &str = "lost";

impl Store {
    pub(crate) fn check_references(&self, mode: Mode, problems: &mut Vec<Problem>) -> Result<()> {
        for name in self.references()? {
            let whole = match self.reference(&name) {
                Ok(Some(digest)) => self.is_there(&digest)?,
                Ok(None) => true,
                Err(error) if error.is_damage() => false,
                Err(error) => {
                    let why = words(&error);
                    problems.push(Problem::UnreadableReference { name, why });
                    continue;
                }
            };
            if !whole {
                if mode == Mode::Repair {
                    self.discard(&self.refs, names::encode(&name)?.as_ref())?;
                }
                problems.push(Problem::Reference(name));
            }
        }
        if mode == Mode::Repair { self.refs.sync() } else { Ok(()) }
    }

    /// Takes away what is damaged, whatever it is.
    pub(crate) fn discard(&self, dir: &Dir, name: &OsStr) -> Result<()> {
        match dir.remove(name) {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::IsADirectory => {
                dir.move_to(name, &self.root.make_sub(LOST)?)
            }
            removed => removed.map(drop),
        }
    }

    /// Whether a digest is that of a tree, a blob or a layer here.
    fn is_there(&self, digest: &Digest) -> Result<bool> {
        let tree = ObjectId::try_from(*digest).ok().map(|id| self.listing(&id));
        Ok(matches!(tree.map(unless_damaged).transpose()?, Some(Some(_)))
            || unless_damaged(self.blob(digest))?.is_some()
            || matches!(unless_damaged(self.recipe(digest))?, Some(Some(_))))
    }
}

/// What the machine says of a file that it does not give.
fn words(error: &StoreError) -> String {
    match error {
        StoreError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
