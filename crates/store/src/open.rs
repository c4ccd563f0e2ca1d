//! Making and opening stores.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Backend, Description, LIMIT};
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::mend::{self, DIRECTORIES};
use crate::objects::Objects;
use crate::store::{DESCRIPTION, LEASE, Store};

/// Alternates of alternates are followed this deep.
const MAX_DEPTH: u32 = 5;

/// Decides how a new store keeps contents.
pub trait Probe {
    /// Returns the backend for a store at `path`, an existing directory.
    fn backend(&self, path: &Path) -> Result<Backend>;
}

/// A choice made beforehand.
impl Probe for Backend {
    fn backend(&self, _: &Path) -> Result<Backend> {
        Ok(*self)
    }
}

impl Store {
    /// Makes a store in `path`, which must not hold one yet.
    pub fn create(path: &Path, probe: &dyn Probe, alternates: Vec<PathBuf>) -> Result<Self> {
        match std::fs::create_dir_all(path.parent().unwrap_or(path))
            .and_then(|()| Ok(rustix::fs::mkdir(path, rustix::fs::Mode::RWXU)?))
        {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("create", path)(error));
            }
            _ => {}
        }
        let root = Dir::open(path)?;
        if root.open_file(DESCRIPTION)?.is_some() {
            return Err(StoreError::StoreExists { path: path.to_owned() });
        }
        let description = Description::new(probe.backend(path)?, alternates);
        for name in DIRECTORIES {
            root.make_sub(name)?;
        }
        root.open_or_create(LEASE)?;
        // Last: a directory without it is no store, and may be completed by the next attempt.
        root.replace(DESCRIPTION, &description.to_json(path)?)?;
        Self::open(path)
    }

    /// Opens the store in `path`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_at_depth(path, 0)
    }

    fn open_at_depth(path: &Path, depth: u32) -> Result<Self> {
        let root = open_root(path)?;
        let (description, access) = Description::parse(&describe(&root)?, path)?;
        if depth > MAX_DEPTH {
            return Err(StoreError::TooLarge { what: "chain of alternate stores" });
        }
        let alternates =
            description.alternates.iter().map(|path| Self::open_at_depth(path, depth + 1));
        let alternates = alternates.collect::<Result<Vec<_>>>()?;
        check_alternates(&description, &alternates, path)?;
        let sub = |name: &'static str| {
            let missing = || StoreError::NoDirectory { store: path.to_owned(), name };
            root.sub(name)?.ok_or_else(missing)
        };
        let others = alternates.iter().map(|store| Arc::clone(&store.objects)).collect();
        let objects = Arc::new(Objects::open(sub("objects")?, others)?);
        Ok(Self {
            objects,
            trees: sub("trees")?,
            blobs: [sub("blobs/sha256")?, sub("blobs/sha512")?],
            recipes: sub("recipes")?,
            refs: sub("refs")?,
            partial: sub("partial")?,
            checkouts: sub("checkouts")?,
            root,
            alternates,
            description,
            access,
        })
    }
}

/// Opens the directory of a store, if there is one.
pub(crate) fn open_root(path: &Path) -> Result<Dir> {
    match Dir::open(path) {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::NoStore { path: path.to_owned() })
        }
        opened => opened,
    }
}

/// Reads what a directory says of the store in it.
fn describe(root: &Dir) -> Result<Vec<u8>> {
    let path = root.path();
    let bad = |reason: &str| StoreError::BadDescription {
        path: path.join(DESCRIPTION),
        reason: reason.to_owned(),
    };
    match root.read(DESCRIPTION, LIMIT) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) if mend::has_contents(root)? => Err(bad("it is missing")),
        Ok(None) => Err(StoreError::NoStore { path: path.to_owned() }),
        Err(StoreError::Damaged { reason, .. }) => Err(bad(reason)),
        Err(error) => Err(error),
    }
}

/// Fails for an alternate whose contents could not be found.
fn check_alternates(description: &Description, alternates: &[Store], path: &Path) -> Result<()> {
    let backend = description.backend;
    match alternates.iter().find(|store| store.description.backend != backend) {
        Some(other) => Err(StoreError::WrongAlternate {
            path: path.to_owned(),
            alternate: other.path().to_owned(),
        }),
        None => Ok(()),
    }
}
