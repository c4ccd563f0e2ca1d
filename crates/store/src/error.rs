//! What can go wrong in a store.

use std::io;
use std::path::{Path, PathBuf};

use creel_base::digest::{Digest, ObjectId};
use creel_base::hint::Hint;
use creel_base::lock::LockError;
use creel_base::path::PathError;
use creel_codec::erofs;
use creel_codec::layer::{EncodeError, LayerError};
use creel_codec::tape::TapeError;
use creel_codec::tree::TreeError;
use rustix::io::Errno;

use crate::config::FORMAT;
use crate::pack::{BLOCK, INLINE_LIMIT, PackId};

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is no store at the path.
    #[error("no store at `{}`", path.display())]
    NoStore {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// A store is already at the path.
    #[error("a store exists already at `{}`", path.display())]
    StoreExists {
        /// Where one was to be created.
        path: PathBuf,
    },
    /// `store.json` does not parse or holds values out of range.
    #[error("store description `{}` is not valid: {reason}", path.display())]
    BadDescription {
        /// The `store.json`.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing tells what a damaged `store.json` said.
    #[error("cannot tell what `{}` said: {reason}", path.display())]
    Undecided {
        /// The `store.json`.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// An alternate keeps contents in another way.
    #[error("store `{}` cannot use `{}`, which has another backend", path.display(), alternate.display())]
    WrongAlternate {
        /// The store.
        path: PathBuf,
        /// The alternate.
        alternate: PathBuf,
    },
    /// A directory that every store has is not there.
    #[error("directory `{name}` of the store `{}` is missing", store.display())]
    NoDirectory {
        /// The store.
        store: PathBuf,
        /// The directory in it.
        name: &'static str,
    },
    /// The store's format is newer than this program.
    #[error("store `{}` has format {found}, newer than {known}", path.display())]
    NewerFormat {
        /// The store.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The store uses a feature without which it cannot even be read.
    #[error("store `{}` needs the unknown feature `{feature}`", path.display())]
    UnknownFeature {
        /// The store.
        path: PathBuf,
        /// The feature.
        feature: String,
    },
    /// Something was to be written to a store opened read-only.
    #[error("store `{}` is read-only", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// A file of the store does not have the form its format asks for.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An object is in no pack.
    #[error("object `{id}` is not in the store")]
    NoObject {
        /// The object.
        id: ObjectId,
    },
    /// A pack that an index or a tree names does not exist.
    #[error("pack `{id}` is not in the store")]
    NoPack {
        /// The pack.
        id: PackId,
    },
    /// A tree has no listing.
    #[error("tree `{id}` is not in the store")]
    NoTree {
        /// The tree.
        id: ObjectId,
    },
    /// A blob is not there.
    #[error("blob `{digest}` is not in the store")]
    NoBlob {
        /// The blob.
        digest: Box<Digest>,
    },
    /// Content does not hash to its name.
    #[error("content of `{expected}` hashes to `{found}`")]
    DigestMismatch {
        /// The name.
        expected: Box<Digest>,
        /// What the bytes hash to.
        found: Box<Digest>,
    },
    /// The calls on an object writer came in the wrong order.
    #[error("object writer used out of order: {reason}")]
    OutOfOrder {
        /// Which rule was broken.
        reason: &'static str,
    },
    /// A size does not fit its field.
    #[error("{what} is too large")]
    TooLarge {
        /// What is.
        what: &'static str,
    },
    /// A tree's listing cannot be written or read.
    #[error("listing of tree is not valid")]
    Listing {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A reference's name cannot be stored.
    #[error("name of {length} bytes cannot be stored: 1 to {limit} are possible")]
    BadName {
        /// How long the name is.
        length: usize,
        /// The longest possible.
        limit: usize,
    },
    /// A layer's archive is not one that is taken.
    #[error("layer is refused")]
    Layer {
        /// Why.
        #[source]
        source: Box<LayerError>,
    },
    /// A layer has not been unpacked.
    #[error("layer `{diff_id}` is not in the store")]
    NoLayer {
        /// Its diff id.
        diff_id: Box<Digest>,
    },
    /// A layer does not fit those below it.
    #[error("layer `{diff_id}` cannot lie on those below it")]
    Stack {
        /// Its diff id.
        diff_id: Box<Digest>,
        /// Why not.
        #[source]
        source: Box<TreeError>,
    },
    /// A tree has no regular file at a path.
    #[error("cannot read `{}`: {reason}", .path.escape_ascii())]
    NoFile {
        /// The path in the tree.
        path: Box<[u8]>,
        /// Why not.
        reason: &'static str,
    },
    /// The caller's `References` could not tell what a blob refers to.
    #[error("cannot tell what blob `{digest}` refers to")]
    References {
        /// The blob.
        digest: Box<Digest>,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller's `References` could not tell what is in use.
    #[error("cannot tell what is in use")]
    Pinned {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Writers are at work and the collection was asked not to wait for them.
    #[error("store `{}` is in use by a writer", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// A tree gives an object another size than it has.
    #[error("object `{id}` does not have the size that the tree gives it")]
    WrongSize {
        /// The object.
        id: ObjectId,
    },
    /// A tree cannot be made into an EROFS image.
    #[error("cannot make an EROFS image of tree `{tree}`")]
    Image {
        /// The tree.
        tree: ObjectId,
        /// Why.
        #[source]
        source: Box<erofs::WriteError>,
    },
    /// An entry of a tree cannot become a file of a directory.
    #[error("cannot check out `{}`: {reason}", path.display())]
    CannotCheckOut {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The content of an object cannot be read.
    #[error("cannot read object `{object}`")]
    Read {
        /// The object.
        object: ObjectId,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory holds something that a tree cannot.
    #[error("cannot take in `{}`: {reason}", path.display())]
    CannotScan {
        /// What.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A tree cannot be written as a layer.
    #[error("cannot make a layer of the tree")]
    Encode {
        /// Why.
        #[source]
        source: Box<EncodeError>,
    },
    /// Whoever takes an archive failed.
    #[error("cannot write the archive")]
    Output {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be given to the owner that the tree says, in this user namespace.
    #[error("cannot give `{}` to {uid}:{gid}: the id is not mapped", path.display())]
    NotMapped {
        /// The file.
        path: PathBuf,
        /// The owner.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// A loose store has no checkout of a tree, nor all that it would be made of.
    #[error("tree `{tree}` has no checkout")]
    NoCheckout {
        /// The tree.
        tree: ObjectId,
    },
    /// Nothing tells how the archive of a layer was.
    #[error("archive of layer `{diff_id}` cannot be made again")]
    NoTape {
        /// Its diff id.
        diff_id: Box<Digest>,
    },
    /// A tape is damaged.
    #[error("cannot read the tape `{}`", path.display())]
    Tape {
        /// The tape.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<TapeError>,
    },
    /// A lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file operation outside the store failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The kernel did not mount an image.
    #[error("cannot mount `{}`: the kernel refused {step}", path.display())]
    Mount {
        /// The image.
        path: PathBuf,
        /// Which step failed.
        step: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The operation is not possible with this backend.
    #[error("{what} needs a store with the {backend} backend")]
    WrongBackend {
        /// The operation.
        what: &'static str,
        /// The backend it needs.
        backend: &'static str,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), reason }
    }
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "run `creel prune` to free space".into()
            }
            Self::NewerFormat { path, known, .. } => format!(
                "install a newer creel; if none has ever used the store, a bit has flipped: \
                 write {known} for the `format` in `{}/store.json`",
                path.display()
            ),
            Self::UnknownFeature { .. } | Self::ReadOnly { .. } => {
                "install a newer creel, or name another store with `--store`".into()
            }
            Self::BadDescription { path, .. } => repair(path.parent().unwrap_or(path)),
            Self::NoDirectory { store, .. } => {
                format!("{}, then pull the images again", repair(store))
            }
            Self::Undecided { .. } => format!(
                "write it anew, with the `backend` and the `alternates` that it had: \
                 `{{\"format\":{FORMAT},\"backend\":\"packed\",\"block_size\":{BLOCK},\
                 \"inline_limit\":{INLINE_LIMIT},\"alternates\":[]}}`"
            ),
            Self::WrongAlternate { path, .. } => {
                format!("take it out of `alternates` in `{}/store.json`", path.display())
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "make its file system writable, or name another store with `--store`".into()
            }
            Self::Damaged { .. }
            | Self::DigestMismatch { .. }
            | Self::Tape { .. }
            | Self::NoPack { .. } => "run `creel fsck --repair`, then pull the image again".into(),
            Self::NoCheckout { .. } | Self::NoTape { .. } => "pull the image again".into(),
            Self::NotMapped { .. } => {
                "give your user more subordinate ids in `/etc/subuid` and `/etc/subgid`".into()
            }
            Self::Layer { source } => return source.hint(),
            Self::Lock(error) => return error.hint(),
            Self::Path(error) => return error.hint(),
            Self::Mount { source, .. } => return mount_hint(source),
            Self::Busy { .. } => "try again when the running pulls and commits have ended".into(),
            _ => return None,
        })
    }
}

/// A store that does not open is not said to be the one in use: it may be an alternate of that.
fn repair(store: &Path) -> String {
    format!("run `creel --store {} fsck --repair`", store.display())
}

fn mount_hint(source: &io::Error) -> Option<String> {
    Some(match Errno::from_io_error(source)? {
        Errno::PERM => "run as root, or make a loose store: users cannot mount EROFS".into(),
        Errno::NODEV => "load the kernel module `erofs`, or make a loose store".into(),
        Errno::NOTBLK => "use Linux 6.12 or later, or make a loose store".into(),
        _ => return None,
    })
}

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;
