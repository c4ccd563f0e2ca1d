//! Mounting the EROFS image of a tree: from the files themselves (Linux 6.12 and later), else through
//! loop devices.

mod loops;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use creel_base::digest::ObjectId;
use creel_codec::erofs;
use creel_codec::tree::{Entry, Kind, Meta, Tree};
use rustix::io::Errno;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::config::Backend;
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::open::Probe;
use crate::store::Store;
use loops::Device;

/// Longest string that `fsconfig` takes, in bytes without the NUL (`strndup_user(…, 256)` in
/// `fs/fsopen.c`).
const MAX_STRING: usize = 255;

/// What a mount reads image and packs from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// The files themselves: Linux 6.12 and later with `EROFS_FS_BACKED_BY_FILE`.
    Files,
    /// Loop devices over them, one a file.
    Loop,
}

/// How reads of the files below a mount are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caching {
    /// Only in the mount: the files are read past their own page cache (Linux 6.15 and later).
    Once,
    /// In the mount and in the files.
    Twice,
}

impl Store {
    /// Mounts a tree read-only and returns the detached mount, which lives as long as the
    /// descriptor, or as what it is moved to.
    ///
    /// Every call makes a superblock with a page cache of its own: who wants to share it clones
    /// the mount. While it is in use, the tree must be among [`crate::References::pinned`].
    ///
    /// # Errors
    ///
    /// Those of [`Store::image`], and [`StoreError::Mount`] with the step that the kernel refused.
    pub fn mount(&self, tree: &ObjectId) -> Result<OwnedFd> {
        match self.mount_with(tree, Backing::Files) {
            Err(error) if wants_block_device(&error) && is_on_disk(&self.trees) => {
                self.mount_with(tree, Backing::Loop)
            }
            result => result,
        }
    }

    /// Does the same with the one backing and no other.
    ///
    /// # Errors
    ///
    /// Those of [`Store::mount`].
    pub fn mount_with(&self, tree: &ObjectId, backing: Backing) -> Result<OwnedFd> {
        let _lease = self.reader_lease()?;
        let image = self.image(tree)?;
        let packs = image.packs().iter().map(|pack| self.objects.pack(*pack));
        let packs = packs.collect::<Result<Vec<_>>>()?;
        let packs: Vec<&File> = packs.iter().map(|file| &**file).collect();
        mount_erofs(&image.file, image.path(), &packs, backing)
    }
}

/// Asks the kernel: packed where it mounts an EROFS image from a file in the store, or knows block
/// devices only and mounts it through a loop device over a disk; else loose.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelProbe;

impl Probe for KernelProbe {
    fn backend(&self, path: &Path) -> Result<Backend> {
        let root = Entry {
            path: Box::default(),
            meta: Meta { mode: 0o755, ..Meta::default() },
            kind: Kind::Directory { opaque: false, implied: false },
        };
        let tree = Tree { entries: vec![root] };
        let image = erofs::write(&tree, &|_, _| None, &erofs::Options::default());
        let image = image.map_err(|source| StoreError::Image {
            tree: ObjectId::default(),
            source: Box::new(source),
        })?;
        let dir = Dir::open(path)?;
        let mounted = match try_mount(&dir, &image, Backing::Files)? {
            Err(error) if wants_block_device(&error) && is_on_disk(&dir) => {
                try_mount(&dir, &image, Backing::Loop)?
            }
            result => result,
        };
        Ok(if mounted.is_ok() { Backend::Packed } else { Backend::Loose })
    }
}

/// Writes an image into `dir` and mounts it; the outer error is that of writing.
fn try_mount(dir: &Dir, image: &[u8], backing: Backing) -> Result<Result<OwnedFd>> {
    use std::os::unix::ffi::OsStrExt as _;
    let name = dir.temporary()?;
    let name = std::ffi::OsStr::from_bytes(&name);
    let mut file = dir.create_new(name)?;
    let path = dir.path_of(name);
    let written = file.write_all(image).map_err(StoreError::io("write", &path));
    let mounted = written.map(|()| mount_erofs(&file, &path, &[], backing));
    dir.remove(name)?;
    mounted
}

/// Tells whether a loop device over a file of this file system is worth it. Those that have no disk
/// themselves are refused as files by every kernel, and would be cached twice.
fn is_on_disk(dir: &Dir) -> bool {
    // TMPFS_MAGIC, RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC (statfs(2)).
    const OTHERS: [u64; 3] = [0x0102_1994, 0x8584_58f6, 0x794c_7630];
    rustix::fs::fstatfs(dir).is_ok_and(|found| !OTHERS.contains(&(found.f_type as u64)))
}

/// Tells whether the kernel refused a file where it wants a block device (ENOTBLK).
fn wants_block_device(error: &StoreError) -> bool {
    match error {
        StoreError::Mount { source, .. } => Errno::from_io_error(source) == Some(Errno::NOTBLK),
        _ => false,
    }
}

fn mount_erofs(image: &File, path: &Path, packs: &[&File], backing: Backing) -> Result<OwnedFd> {
    let failed = |step, source| StoreError::Mount { path: path.to_owned(), step, source };
    let mounted = match backing {
        Backing::Files => mount_files(image, path, packs),
        Backing::Loop => {
            let devices = core::iter::once(&image).chain(packs).map(|file| Device::of(file));
            let devices = devices.collect::<io::Result<Vec<_>>>();
            let devices = devices.map_err(|source| failed("a loop device", source))?;
            let mut paths = devices.iter().map(Device::path);
            let image = paths.next().unwrap_or_default();
            attempt(&image, &paths.collect::<Vec<_>>(), Caching::Twice)
        }
    };
    mounted.map_err(|(step, errno)| failed(step, errno.into()))
}

/// Mounts an image and its packs, cached once where the kernel and the file system can.
fn mount_files(
    image: &File,
    path: &Path,
    packs: &[&File],
) -> core::result::Result<OwnedFd, (&'static str, Errno)> {
    let packs: Vec<_> = packs.iter().map(|pack| descriptor(pack)).collect();
    let source = source(image, path);
    match attempt(&source, &packs, Caching::Once) {
        // Kernels before 6.15 do not know the option; some file systems cannot do it.
        Err((_, Errno::INVAL | Errno::OPNOTSUPP)) => attempt(&source, &packs, Caching::Twice),
        result => result,
    }
}

fn attempt(
    source: &str,
    packs: &[String],
    caching: Caching,
) -> core::result::Result<OwnedFd, (&'static str, Errno)> {
    let at = |step| move |errno| (step, errno);
    let context = mount::fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at("fsopen"))?;
    mount::fsconfig_set_string(&context, "source", source).map_err(at("option `source`"))?;
    for pack in packs {
        mount::fsconfig_set_string(&context, "device", pack).map_err(at("option `device`"))?;
    }
    mount::fsconfig_set_flag(&context, "ro").map_err(at("option `ro`"))?;
    if caching == Caching::Once {
        mount::fsconfig_set_flag(&context, "directio").map_err(at("option `directio`"))?;
    }
    mount::fsconfig_create(&context).map_err(at("creation of the superblock"))?;
    let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
    mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, read_only).map_err(at("fsmount"))
}

/// What names the image to the kernel: its path where that fits, as it then shows in
/// `/proc/PID/mountinfo`.
fn source(image: &File, path: &Path) -> String {
    match path.to_str() {
        Some(text) if path.is_absolute() && text.len() <= MAX_STRING => text.to_owned(),
        _ => descriptor(image),
    }
}

/// A path to the very file that is open, short whatever its name.
fn descriptor(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
