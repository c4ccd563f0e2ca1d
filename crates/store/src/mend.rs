//! Making a store open again, where what stands above all the rest is damaged or missing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::{Access, Backend, Description, LIMIT};
use crate::damage::unless_damaged;
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::image;
use crate::lock::{self, Kind, Wait};
use crate::open::{Probe, open_root};
use crate::store::{DESCRIPTION, LEASE, Store};

/// The directories of a store, each after the one it is in.
pub(crate) const DIRECTORIES: [&str; 9] = [
    "objects",
    "trees",
    "recipes",
    "refs",
    "checkouts",
    "partial",
    "blobs",
    "blobs/sha256",
    "blobs/sha512",
];

/// What a store cannot be opened without, and had to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mended {
    /// `store.json`, which was damaged or missing.
    Description,
    /// A directory of this name, which was missing.
    Directory(&'static str),
}

impl Store {
    /// Makes again what a store cannot be opened without: directories that are missing, which come
    /// back empty, and a damaged `store.json`, where what it said can be told from what is there.
    /// Returns what it made. `probe` decides for a store that has no contents. Writers are waited for.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoStore`] where nothing of a store is left, [`StoreError::Undecided`] where
    /// `store.json` may have said one thing or another, and those of a store that is not to be written.
    pub fn mend(path: &Path, probe: &dyn Probe) -> Result<Vec<Mended>> {
        let root = open_root(path)?;
        let text = unless_damaged(root.read(DESCRIPTION, LIMIT))?.flatten();
        let parsed = Description::parse(text.as_deref().unwrap_or_default(), path);
        let mended = match (parsed, text) {
            (Err(StoreError::BadDescription { .. }), None) if !looks_like_store(&root)? => {
                return Err(StoreError::NoStore { path: path.to_owned() });
            }
            (Err(StoreError::BadDescription { .. }), text) => {
                Some(guess(&root, &text.unwrap_or_default(), probe)?)
            }
            (parsed, _) => writable(parsed?, path).map(|_| None)?,
        };
        let _alone = lock::take(&root, LEASE, Kind::Exclusive, Wait::Forever)?;
        let mut made = Vec::new();
        if let Some(description) = mended {
            root.replace(DESCRIPTION, &description.to_json(path)?)?;
            made.push(Mended::Description);
        }
        for name in DIRECTORIES {
            if root.sub(name)?.is_none() {
                root.make_sub(name)?;
                made.push(Mended::Directory(name));
            }
        }
        root.sync()?;
        Ok(made)
    }
}

fn writable((found, access): (Description, Access), path: &Path) -> Result<Description> {
    match access {
        Access::ReadWrite => Ok(found),
        Access::ReadOnly => Err(StoreError::ReadOnly { path: path.to_owned() }),
    }
}

/// Tells what a damaged description said.
fn guess(root: &Dir, text: &[u8], probe: &dyn Probe) -> Result<Description> {
    let path = root.path();
    let undecided = |reason| StoreError::Undecided { path: path.join(DESCRIPTION), reason };
    if !looks_like_store(root)? {
        // Then it is someone else's file.
        return Err(undecided("the directories of a store are not there"));
    }
    let backend = match backend_of(root)? {
        Some(backend) => backend,
        None => probe.backend(path)?,
    };
    let lists = match serde_json::from_slice::<Value>(text) {
        Ok(value) => lists(&value).ok_or_else(|| undecided("its lists cannot be read"))?,
        // Paths of other stores are all that a description has a slash for.
        Err(_) if text.windows(2).any(|bytes| bytes == b"\"/") => {
            return Err(undecided("it may name other stores"));
        }
        Err(_) => Default::default(),
    };
    let [compatible, ro_compatible, incompatible, alternates] = lists;
    let alternates = alternates.into_iter().map(PathBuf::from).collect();
    let fresh = Description::new(backend, alternates);
    let guessed = Description { compatible, ro_compatible, incompatible, ..fresh };
    writable(Description::parse(&guessed.to_json(path)?, path)?, path)
}

/// The lists of a description that is JSON; `None` for one that is something else.
fn lists(description: &Value) -> Option<[Vec<String>; 4]> {
    let list = |key: &str| match description.get(key) {
        None => Some(Vec::new()),
        Some(list) => serde_json::from_value(list.clone()).ok(),
    };
    Some([list("compatible")?, list("ro_compatible")?, list("incompatible")?, list("alternates")?])
}

/// The backend of a store, by what it holds; `None` where nothing tells.
fn backend_of(root: &Dir) -> Result<Option<Backend>> {
    let has = |directory: &str, end: &str| -> Result<bool> {
        let names = root.sub(directory)?.map(|dir| dir.names()).transpose()?.unwrap_or_default();
        Ok(names.iter().any(|name| name.ends_with(end.as_bytes())))
    };
    let packed = has("objects", ".pack")? || has("trees", image::SUFFIX)?;
    let loose = has("checkouts", "")?;
    match (packed, loose) {
        (true, true) => {
            let path = root.path_of(DESCRIPTION);
            Err(StoreError::Undecided { path, reason: "there are both packs and checkouts" })
        }
        (true, false) => Ok(Some(Backend::Packed)),
        (false, true) => Ok(Some(Backend::Loose)),
        (false, false) => Ok(None),
    }
}

/// Tells whether most of what a store consists of is there.
fn looks_like_store(root: &Dir) -> Result<bool> {
    let mut there = 0;
    for name in DIRECTORIES {
        there += usize::from(root.sub(name)?.is_some());
    }
    Ok(there > DIRECTORIES.len() / 2)
}

/// Tells whether a directory without description has what only a store has: one that was not made
/// to its end has nothing yet.
pub(crate) fn has_contents(root: &Dir) -> Result<bool> {
    for name in DIRECTORIES.iter().filter(|name| **name != "blobs") {
        let Some(dir) = root.sub(name)? else { continue };
        if !dir.names()?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
