//! The mounts of trees that containers share.
//!
//! Two mounts of one tree share no page cache, so each tree is mounted once, below the run
//! directory, and all containers stack that mount. Whether it is there is asked of the kernel. The
//! directory is a private mount of its own: nothing of it shows in other mount namespaces.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use creel_base::digest::ObjectId;
use creel_base::hint::Hint;
use creel_base::lock::{Kind, Lock, LockError, Wait};
use creel_base::path::{Dir, PathError};
use creel_store::{Backend, Ids, Store, StoreError};
use rustix::fs::{AtFlags, CWD, Mode, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{self, MountPropagationFlags, MoveMountFlags, UnmountFlags};

/// `EROFS_SUPER_MAGIC_V1` (include/uapi/linux/magic.h).
const EROFS: i64 = 0xe0f5_e1e2;
const LOCK: &str = "trees.lock";

/// Why a tree is not where a container could stack it.
#[derive(Debug, thiserror::Error)]
pub enum TreesError {
    /// The store cannot give the tree.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file operation failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The lock was not taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The kernel refused a mount.
    #[error("cannot {action} `{}`", path.display())]
    Mount {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Hint for TreesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Path(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Mount { .. } => None,
        }
    }
}

/// The directories to stack, lowest first. While it lives none of them is unmounted.
#[derive(Debug)]
pub struct Lowers {
    /// Their paths.
    pub paths: Vec<PathBuf>,
    /// The owners of the files are those of a container with ids of its own.
    pub(super) mapped: bool,
    _lock: Option<Lock>,
}

impl Lowers {
    /// The root of the running system.
    pub(super) fn of_host() -> Self {
        Self { paths: vec!["/".into()], mapped: false, _lock: None }
    }
}

/// The directory of shared mounts.
#[derive(Debug)]
pub struct Trees {
    run: Dir,
    path: PathBuf,
}

impl Trees {
    /// The shared mounts below the run directory.
    #[must_use]
    pub fn below(run: Dir) -> Self {
        let path = run.path().join("trees");
        Self { run, path }
    }

    /// Returns where trees can be stacked from, and mounts them first where that is needed.
    ///
    /// # Errors
    /// [`TreesError`].
    pub fn lowers(&self, store: &Store, trees: &[ObjectId]) -> Result<Lowers, TreesError> {
        if store.description().backend == Backend::Loose {
            let paths = trees.iter().map(|tree| store.directory(tree)).collect::<Result<_, _>>()?;
            return Ok(Lowers { paths, mapped: false, _lock: None });
        }
        let paths: Vec<PathBuf> = trees.iter().map(|tree| self.path.join(tree.hex())).collect();
        let lock = Lock::take(&self.run, LOCK, Kind::Shared, Wait::Forever)?;
        if paths.iter().all(|path| is_mounted(path)) {
            return Ok(Lowers { paths, mapped: false, _lock: Some(lock) });
        }
        drop(lock);
        let lock = Lock::take(&self.run, LOCK, Kind::Exclusive, Wait::Forever)?;
        self.prepare()?;
        for (tree, path) in trees.iter().zip(&paths) {
            if !is_mounted(path) {
                mount_one(store, tree, path)?;
            }
        }
        // The only other use of the exclusive lock is to unmount, which waits for the shared one.
        lock.try_convert(Kind::Shared)?;
        Ok(Lowers { paths, mapped: false, _lock: Some(lock) })
    }

    /// Returns copies of trees, in a loose store, whose files have other owners.
    ///
    /// # Errors
    /// [`TreesError::Store`].
    pub(super) fn mapped(
        store: &Store,
        trees: &[ObjectId],
        ids: Ids,
    ) -> Result<Lowers, TreesError> {
        let paths = trees.iter().map(|tree| store.mapped_directory(tree, ids));
        Ok(Lowers { paths: paths.collect::<Result<_, _>>()?, mapped: true, _lock: None })
    }

    /// Makes the directory a private mount of its own.
    fn prepare(&self) -> Result<(), TreesError> {
        self.run.mkdir_open("trees", Mode::RWXU)?;
        if is_mount_root(&self.path) {
            return Ok(());
        }
        let path = &self.path;
        mount::mount_bind(path, path).map_err(refused("mount", path))?;
        mount::mount_change(path, MountPropagationFlags::PRIVATE)
            .map_err(refused("make private the mount at", path))
    }

    /// Unmounts every tree that `keep` does not want; containers that stack one keep it alive by
    /// themselves. Returns how many were unmounted.
    ///
    /// # Errors
    /// [`TreesError`].
    pub fn unmount(&self, keep: impl Fn(&ObjectId) -> bool) -> Result<u64, TreesError> {
        let _lock = Lock::take(&self.run, LOCK, Kind::Exclusive, Wait::Forever)?;
        let mut unmounted = 0;
        for (tree, path) in self.mounted()? {
            if !keep(&tree) {
                mount::unmount(&path, UnmountFlags::DETACH).map_err(refused("unmount", &path))?;
                // A directory that stays is used again by the next mount.
                let _ = std::fs::remove_dir(&path);
                unmounted += 1;
            }
        }
        Ok(unmounted)
    }

    /// Lists the trees that are mounted, and where.
    ///
    /// # Errors
    /// [`TreesError::Path`].
    pub fn mounted(&self) -> Result<Vec<(ObjectId, PathBuf)>, TreesError> {
        let dir = match self.run.open_dir("trees") {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut found = Vec::new();
        for entry in dir.entries()? {
            let name = entry?.name;
            let path = self.path.join(&name);
            let tree = name.to_str().and_then(ObjectId::from_hex);
            found.extend(tree.filter(|_| is_mounted(&path)).map(|tree| (tree, path)));
        }
        Ok(found)
    }
}

fn mount_one(store: &Store, tree: &ObjectId, path: &Path) -> Result<(), TreesError> {
    let detached = store.mount(tree)?;
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(refused("create", path)(errno)),
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    mount::move_mount(detached.as_fd(), "", CWD, path, flags).map_err(refused("mount", path))
}

fn is_mounted(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|info| info.f_type == EROFS)
}

/// `STATX_ATTR_MOUNT_ROOT` (Linux 5.8).
fn is_mount_root(path: &Path) -> bool {
    let found = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn refused(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> TreesError {
    move |errno| TreesError::Mount { action, path: path.to_owned(), source: errno.into() }
}
