//! Mounts that a container with ids of its own is put together from.
//!
//! Its first process may do in its namespace what it likes and on the host nothing: not even reach
//! the directories of the store. So creel mounts everything in a mount namespace of this process's own,
//! on a small file system in the run directory, from which the process takes it over before it has
//! its ids. In the copy that it gets of this namespace no attribute of a mount can be lifted
//! (`MNT_LOCK_*`), and a device of an image stays a file.

use std::fs;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use creel_base::path::Dir;
use creel_runtime::spec::Spec;
use creel_spawn::IdMap;
use creel_spawn::mount::READ_ONLY;
use creel_spawn::userns::{self, IdMaps};
use rustix::fs::{CWD, Gid, Mode, OFlags, StatVfsMountFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{
    self, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use super::{Person, UsersError, passwd};
use crate::Privileges;
use crate::containers::trees::Lowers;
use crate::containers::upper;
use crate::containers::volume::{self, IDMAP};

/// Holds the mount points of the root and of the volumes.
const OPTIONS: &core::ffi::CStr = c"mode=700,size=4m";

/// The mounts. Dropped, they are gone from here, and this process is where it was before; a process
/// that took them over keeps them.
pub(crate) struct Stage {
    home: Home,
    run: PathBuf,
    path: PathBuf,
    maps: IdMaps,
    /// A namespace with these ids; none where the kernel maps nothing for this process.
    namespace: Option<OwnedFd>,
}

/// What the root of a container is stacked from.
pub(crate) struct Layers<'a> {
    /// The layers below.
    pub(crate) lowers: &'a Lowers,
    /// The container's directory.
    pub(crate) dir: &'a Dir,
    /// Changes need not last.
    pub(crate) volatile: bool,
}

impl Stage {
    /// Leaves the mount namespace and prepares the place for mounts below the directory of a run.
    ///
    /// # Errors
    /// [`UsersError::Mount`], [`UsersError::Userns`].
    pub(crate) fn set_up(
        run: &Dir,
        maps: IdMaps,
        privileges: Privileges,
    ) -> Result<Self, UsersError> {
        let path = run.mkdir_open("stage", Mode::RWXU)?.path().to_owned();
        let namespace = match privileges {
            Privileges::Whole => Some(userns::namespace(&maps)?),
            Privileges::Namespace { .. } => None,
        };
        let home = Home::leave()?;
        mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
            .map_err(refused("separate the mounts below", Path::new("/")))?;
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        mount::mount("tmpfs", &path, "tmpfs", flags, OPTIONS)
            .map_err(refused("mount memory at", &path))?;
        Ok(Self { home, run: run.path().to_owned(), path, maps, namespace })
    }

    /// Where the root is.
    pub(crate) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// Stacks the layers as the root, in which `person` is known.
    ///
    /// # Errors
    /// [`UsersError::Mount`], [`UsersError::ReadOnly`].
    pub(crate) fn stack(
        &self,
        layers: &Layers<'_>,
        person: Option<&Person>,
    ) -> Result<(), UsersError> {
        let place = self.root();
        fs::create_dir(&place).map_err(|source| failed("create", &place, source))?;
        let lowers = layers.lowers.paths.iter().rev().map(|path| self.layer(path, layers.lowers));
        let lowers = lowers.collect::<Result<Vec<_>, _>>()?;
        self.make_upper(layers)?;
        let path = |name| layers.dir.path().join(name);
        let (upper, work) = (open(&path("upper"))?, open(&path("work"))?);
        let options = self.options(&lowers, [&upper, &work], layers.volatile);
        let options = std::ffi::CString::new(options)
            .map_err(|error| failed("stack layers at", &place, error.into()))?;
        mount::mount("overlay", &place, "overlay", MountFlags::NODEV, &*options)
            .map_err(refused("stack layers at", &place))?;
        let found = rustix::fs::statvfs(&place).map_err(refused("look at", &place))?;
        if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err(UsersError::ReadOnly { path: path("upper") });
        }
        person.map_or(Ok(()), |person| Ok(passwd::add(&place, person)?))
    }

    /// A layer whose files have owners of the container: by the kernel's map, or by themselves.
    fn layer(&self, path: &Path, lowers: &Lowers) -> Result<OwnedFd, UsersError> {
        match &self.namespace {
            Some(namespace) if !lowers.mapped => {
                let mapped = creel_spawn::mount::idmapped(path, READ_ONLY, namespace.as_fd())
                    .map_err(|source| failed("map the ids of", path, source))?;
                // overlayfs takes no layer that is attached nowhere before Linux 6.15. The root
                // covers it.
                attach(&mapped, &self.root())?;
                Ok(mapped)
            }
            _ => open(path),
        }
    }

    fn make_upper(&self, layers: &Layers<'_>) -> Result<(), UsersError> {
        let mapped = layers.lowers.mapped;
        let owner = |uid, gid| if mapped { (uid, gid) } else { self.owner(uid, gid) };
        Ok(upper::make_owned(layers.dir, &layers.lowers.paths, owner)?)
    }

    /// Options of mount(2): a page of them, which is enough for about 200 layers. Redirects and
    /// metadata-only copies are neither made nor followed, as everywhere.
    fn options(&self, lowers: &[OwnedFd], [upper, work]: [&OwnedFd; 2], volatile: bool) -> String {
        let lowers: Vec<_> = lowers.iter().map(link).collect();
        let mut options = format!(
            "lowerdir={},upperdir={},workdir={},index=off,metacopy=off,redirect_dir=nofollow",
            lowers.join(":"),
            link(upper),
            link(work)
        );
        if self.namespace.is_none() {
            options.push_str(",userxattr");
        }
        if volatile {
            options.push_str(",volatile");
        }
        options
    }

    /// Mounts what a specification binds, and lets it bind the mounts. Files that creel made for
    /// the run become the container's root's.
    ///
    /// # Errors
    /// [`UsersError::Mount`].
    pub(crate) fn bind(&self, spec: &mut Spec) -> Result<(), UsersError> {
        let bound = spec.mounts.iter_mut().filter(|mount| mount.kind.as_deref() == Some("bind"));
        for (number, mount) in bound.enumerate() {
            let Some(source) = mount.source.clone() else { continue };
            if source.starts_with(&self.run) {
                let (uid, gid) = self.owner(0, 0);
                rustix::fs::chown(&source, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                    .map_err(refused("give away", &source))?;
            }
            let place = self.path.join(number.to_string());
            let made = self.clone(&source, &mount.options)?;
            if mount.options.iter().any(|option| option == "ro" || option == volume::READ_ONLY) {
                // Here already, so that it holds for who may remount.
                creel_sys::mount::make_read_only(made.as_fd())
                    .map_err(|error| failed("make read-only", &source, error))?;
            }
            attach(&made, &make_place(&source, place.clone())?)?;
            mount.source = Some(place);
            let words = ["bind", "rbind", IDMAP];
            mount.options.retain(|option| !words.contains(&option.as_str()));
            mount.options.push("rbind".to_owned());
        }
        Ok(())
    }

    fn clone(&self, source: &Path, options: &[String]) -> Result<OwnedFd, UsersError> {
        let has = |word: &str| options.iter().any(|option| option == word);
        if has(IDMAP) {
            let not_mapped = |error| failed("map the ids of", source, error);
            let namespace = self.namespace.as_ref();
            let namespace = namespace.ok_or_else(|| not_mapped(Errno::PERM.into()))?;
            return creel_spawn::mount::idmapped(source, 0, namespace.as_fd()).map_err(not_mapped);
        }
        let recursive =
            if has("rbind") { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | recursive;
        mount::open_tree(CWD, source, flags).map_err(refused("clone", source))
    }

    /// The owner outside for one inside; the root for one that the container does not have.
    fn owner(&self, uid: u32, gid: u32) -> (u32, u32) {
        let one = |maps: &[IdMap], id| outside(maps, id).or_else(|| outside(maps, 0)).unwrap_or(id);
        (one(&self.maps.uids, uid), one(&self.maps.gids, gid))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What stays is in a mount namespace that ends with this process.
        let _ = mount::unmount(&self.path, UnmountFlags::DETACH);
        self.home.enter();
    }
}

/// The mount namespace and the working directory that were left: whoever stays away keeps the host from
/// unmounting what it had then.
struct Home {
    namespace: OwnedFd,
    working: OwnedFd,
}

impl Home {
    /// Leaves the mount namespace for a copy of it.
    fn leave() -> Result<Self, UsersError> {
        let path = Path::new("/proc/self/ns/mnt");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace =
            rustix::fs::open(path, flags, Mode::empty()).map_err(refused("open", path))?;
        let home = Self { namespace, working: open(Path::new("."))? };
        creel_sys::mount::unshare()
            .map_err(|source| failed("leave the mount namespace of", Path::new("/"), source))?;
        Ok(home)
    }

    fn enter(&self) {
        // Away from there everything works as well.
        if creel_sys::mount::enter(self.namespace.as_fd()).is_ok() {
            let _ = rustix::process::fchdir(&self.working);
        }
    }
}

/// Lets a container's user open the pipes anew that are its standard streams, as by `/dev/stdout`.
pub(crate) fn own_streams(maps: &IdMaps, uid: u32) {
    let Some(owner) = outside(&maps.uids, uid).map(Uid::from_raw) else { return };
    let own = rustix::process::geteuid();
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let found = rustix::fs::fstat(stream).ok().filter(|stat| {
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            kind == rustix::fs::FileType::Fifo && stat.st_uid == own.as_raw() && own != owner
        });
        if found.is_some() {
            // Those that are open can be used all the same.
            let _ = rustix::fs::fchown(stream, Some(owner), None);
        }
    }
}

/// The id that an id of the container is outside.
pub(crate) fn outside(maps: &[IdMap], id: u32) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = id.checked_sub(map.inside).filter(|offset| *offset < map.count)?;
        map.outside.checked_add(offset)
    })
}

/// Makes a mount point of the same type.
fn make_place(source: &Path, place: PathBuf) -> Result<PathBuf, UsersError> {
    let directory =
        fs::metadata(source).map_err(|error| failed("look at", source, error))?.is_dir();
    let made = if directory { fs::create_dir(&place) } else { fs::write(&place, []) };
    made.map_err(|source| failed("create", &place, source))?;
    Ok(place)
}

fn open(path: &Path) -> Result<OwnedFd, UsersError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(refused("open", path))
}

/// Where the kernel finds a descriptor: a path of few characters, none of which is special.
fn link(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn attach(tree: impl AsFd, place: &Path) -> Result<(), UsersError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    mount::move_mount(tree, "", CWD, place, flags).map_err(refused("mount", place))
}

fn refused(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> UsersError {
    move |errno| failed(action, path, errno.into())
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> UsersError {
    UsersError::Mount { action, path: path.to_owned(), source }
}
