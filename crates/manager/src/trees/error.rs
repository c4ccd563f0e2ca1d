//! What can go wrong with trees.

use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_codec::tree::TreeError;
use creel_store::StoreError;

use super::text;
use crate::images::ImageError;

/// Why a tree, or a file in it, cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TreesError {
    /// No image and no tree has the name.
    #[error("no image and no tree is named `{name}`")]
    Unknown {
        /// The name as typed.
        name: String,
    },
    /// More than one tree's id begins so.
    #[error("`{prefix}` begins the ids of {count} trees")]
    Ambiguous {
        /// The beginning as typed.
        prefix: String,
        /// How many trees have it.
        count: usize,
    },
    /// The image has no such layer.
    #[error("`{name}` has no layer {layer}: they are numbered 1 to {count}, the lowest first")]
    NoLayer {
        /// The image.
        name: String,
        /// The number as typed.
        layer: String,
        /// How many layers the image has.
        count: usize,
    },
    /// The layers do not stack.
    #[error("cannot merge the layers of `{name}`")]
    Merge {
        /// The image.
        name: String,
        /// The reason.
        source: TreeError,
    },
    /// Nothing has the path.
    #[error("no file `{}` in the tree", text(path))]
    NoFile {
        /// The path as far as it was followed.
        path: Vec<u8>,
    },
    /// A path goes through what is no directory.
    #[error("`{}` is not a directory", text(path))]
    NotADirectory {
        /// What is no directory.
        path: Vec<u8>,
    },
    /// Too many symbolic links lead on from each other.
    #[error("`{}` leads through more than {limit} symbolic links", text(path))]
    Loop {
        /// The path as typed.
        path: Vec<u8>,
        /// How many are followed.
        limit: usize,
    },
    /// What is to be read has no content.
    #[error("`{}` is a {kind}, not a file", text(path))]
    NotAFile {
        /// The path.
        path: Vec<u8>,
        /// What it is.
        kind: &'static str,
    },
    /// The content cannot be read, or is not what the tree says.
    #[error("cannot read `{}`", text(path))]
    Read {
        /// The path as typed.
        path: Vec<u8>,
        /// The reason.
        source: std::io::Error,
    },
    /// The target of a checkout is there and not empty.
    #[error("`{}` exists and is not empty", path.display())]
    Exists {
        /// The target.
        path: std::path::PathBuf,
    },
    /// The target of a checkout is a directory that must not be replaced.
    #[error("will not replace `{}`: it is or holds {what}", path.display())]
    Precious {
        /// The target.
        path: std::path::PathBuf,
        /// What would go with it.
        what: &'static str,
    },
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation outside the store failed.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Hint for TreesError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => "run `creel images` for the names, or `creel pull` it".into(),
            Self::Ambiguous { .. } => "give more digits of the id".into(),
            Self::NoLayer { name, count: 1.., .. } => format!("name the lowest `{name}#1`"),
            Self::NoFile { path } => {
                let above = creel_codec::tree::path::parent(path).unwrap_or_default();
                format!("list `/{}` with `creel tree ls`", text(above).trim_start_matches('/'))
            }
            Self::Exists { path } => {
                format!("name a new directory, or replace `{}` with `--force`", path.display())
            }
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => {
                "run `creel fsck --repair`, then pull the image again".into()
            }
            Self::Precious { .. } => "name a new directory".into(),
            Self::Image(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Path(error) => return error.hint(),
            _ => return None,
        })
    }
}
