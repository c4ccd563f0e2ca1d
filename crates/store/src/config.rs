//! `store.json`: what a store is, and what a program must know to use it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};
use crate::pack::{BLOCK, INLINE_LIMIT};

/// The newest format known here, and the one written.
pub const FORMAT: u32 = 1;
/// Longest `store.json` that is read, in bytes.
pub(crate) const LIMIT: u64 = 1 << 20;

/// How a store keeps contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// In packs that EROFS images point into.
    Packed,
    /// In directories, one file a content.
    Loose,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packed => "packed",
            Self::Loose => "loose",
        })
    }
}

/// The content of `store.json`. Unknown fields are kept by no one: features announce them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Format version.
    pub format: u32,
    /// How contents are kept.
    pub backend: Backend,
    /// Block size in bytes.
    pub block_size: u64,
    /// Contents of at most this many bytes are inlined in EROFS metadata.
    pub inline_limit: u64,
    /// Features that a program may ignore.
    #[serde(default)]
    pub compatible: Vec<String>,
    /// Features without which a program may read but not write.
    #[serde(default)]
    pub ro_compatible: Vec<String>,
    /// Features without which a program may not even read.
    #[serde(default)]
    pub incompatible: Vec<String>,
    /// Stores that are read, in this order, for what this one lacks: absolute paths.
    #[serde(default)]
    pub alternates: Vec<PathBuf>,
}

/// What may be done with an open store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

impl Description {
    /// The description of a new store.
    pub fn new(backend: Backend, alternates: Vec<PathBuf>) -> Self {
        Self {
            format: FORMAT,
            backend,
            block_size: BLOCK,
            inline_limit: INLINE_LIMIT,
            compatible: Vec::new(),
            ro_compatible: Vec::new(),
            incompatible: Vec::new(),
            alternates,
        }
    }

    /// Reads a description and decides what this program may do with the store at `store`.
    pub(crate) fn parse(bytes: &[u8], store: &Path) -> Result<(Self, Access)> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let path = store.join("store.json");
        let bad = |reason: String| StoreError::BadDescription { path: path.clone(), reason };
        // The version first: a newer format may have changed every other field.
        let Version { format } = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if format > FORMAT {
            let path = store.to_owned();
            return Err(StoreError::NewerFormat { path, found: format, known: FORMAT });
        }
        let found: Self = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if let Some(feature) = found.incompatible.first().cloned() {
            return Err(StoreError::UnknownFeature { path: store.to_owned(), feature });
        }
        if format == 0 || found.block_size != BLOCK || found.inline_limit != INLINE_LIMIT {
            return Err(bad("format, block size or inline limit out of range".into()));
        }
        if !found.alternates.iter().all(|path| path.is_absolute()) {
            return Err(bad("an alternate is not an absolute path".into()));
        }
        let known = found.ro_compatible.is_empty();
        Ok((found, if known { Access::ReadWrite } else { Access::ReadOnly }))
    }

    pub(crate) fn to_json(&self, store: &Path) -> Result<Vec<u8>> {
        let bad = |error: serde_json::Error| StoreError::BadDescription {
            path: store.join("store.json"),
            reason: error.to_string(),
        };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(bad)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
