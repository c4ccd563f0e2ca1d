//! Mounts of a plan, and their lowering.

use std::ffi::{CString, NulError};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use creel_sys::program::{Attributes, Depth, Kind, NewFileSystem, Op, Slot, Target};

use crate::error::SpawnError;
use crate::lower::Steps;
use crate::root::encode;

/// `MOUNT_ATTR_RDONLY`.
pub const READ_ONLY: u32 = 1;
/// `MOUNT_ATTR_NOSUID`.
pub const NO_SUID: u32 = 2;
/// `MOUNT_ATTR_NODEV`.
pub const NO_DEVICES: u32 = 4;
/// `MOUNT_ATTR_NOEXEC`.
pub const NO_EXEC: u32 = 8;
/// `MOUNT_ATTR_NOATIME`; only one of the three about access times can be set.
pub const NO_ATIME: u32 = 0x10;
/// `MOUNT_ATTR_STRICTATIME`.
pub const STRICT_ATIME: u32 = 0x20;
/// `MOUNT_ATTR_NODIRATIME`.
pub const NO_DIR_ATIME: u32 = 0x80;
/// `MOUNT_ATTR_NOSYMFOLLOW` (5.14).
pub const NO_SYMLINKS: u32 = 0x0020_0000;
/// `MOUNT_ATTR__ATIME`: must be cleared where one of its kind is set.
const ATIME: u32 = 0x70;
const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const SYSFS_MAGIC: i64 = 0x6265_6572;

/// How mounts made at one place reach its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Propagation {
    /// In both directions (`MS_SHARED`).
    Shared = 1 << 20,
    /// From the host into the container (`MS_SLAVE`).
    Slave = 1 << 19,
    /// Not at all (`MS_PRIVATE`).
    Private = 1 << 18,
    /// Not at all, and it cannot be bound elsewhere (`MS_UNBINDABLE`).
    Unbindable = 1 << 17,
}

impl Propagation {
    /// Whether mounts of the host reach the container.
    pub(crate) fn connects(self) -> bool {
        matches!(self, Self::Shared | Self::Slave)
    }
}

/// What is mounted.
#[derive(Clone, Debug)]
pub enum Source {
    /// Processes; only on a real directory.
    Proc,
    /// Kernel objects; only on a real directory.
    Sysfs,
    /// A new instance of a file system type with its options (`mode=755`, `newinstance`).
    New(String, Vec<String>),
    /// A file or directory of the host, with the mounts below it.
    Bind(PathBuf),
    /// A file or directory of the host without the mounts below it.
    BindOne(PathBuf),
    /// A detached mount, such as [`crate::mount::detached`] makes.
    Mount(Arc<OwnedFd>),
}

/// `MOUNT_ATTR_*` to set and to clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// To set.
    pub set: u32,
    /// To clear.
    pub clear: u32,
}

/// A mount below the root.
#[derive(Clone, Debug)]
pub struct Mount {
    /// What is mounted.
    pub source: Source,
    /// Where, resolved inside the root and created if missing.
    pub target: String,
    /// Attributes of the mount itself.
    pub one: Change,
    /// Attributes of the mount and of every mount below it.
    pub all: Change,
    /// Propagation, and whether it reaches the mounts below; private if not said.
    pub propagation: Option<(Propagation, Depth)>,
}

impl Mount {
    /// A mount that has attributes, like all mounts below it.
    pub fn new(source: Source, target: impl Into<String>, attributes: u32) -> Self {
        let all = Change { set: attributes, clear: 0 };
        Self { source, target: target.into(), one: Change::default(), all, propagation: None }
    }

    fn bound(&self) -> Option<(&PathBuf, Depth)> {
        match &self.source {
            Source::Bind(path) => Some((path, Depth::All)),
            Source::BindOne(path) => Some((path, Depth::One)),
            _ => None,
        }
    }
}

/// Clones a file or directory of the host, without the mounts below it, as a detached mount: what
/// is done with the path afterwards no longer matters.
///
/// # Errors
/// Fails without `CAP_SYS_ADMIN`, or as `open_tree` and `mount_setattr` (5.12) do.
pub fn detached(path: &std::path::Path, attributes: u32) -> std::io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    creel_sys::mount::clone_detached(&path, attributes.into())
}

/// Clones a directory of the host as [`detached`] does, with the ids of its files mapped as in a user
/// namespace (see [`crate::userns::namespace`]): what id 0 owns on disk belongs to root in there.
///
/// # Errors
/// Fails as [`detached`] does, and with `EINVAL` on a file system that cannot be idmapped.
pub fn idmapped(
    path: &std::path::Path,
    attributes: u32,
    userns: std::os::fd::BorrowedFd<'_>,
) -> std::io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    creel_sys::mount::clone_idmapped(&path, attributes.into(), userns)
}

/// Opens and clones those that stay connected with the host, before its mounts become private;
/// returns their slots by index.
pub(crate) fn lower_connected(
    steps: &mut Steps,
    mounts: &[Mount],
) -> Result<Vec<(usize, Slot)>, SpawnError> {
    let mut made = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        let connects = mount.propagation.is_some_and(|(kind, _)| kind.connects());
        if let (true, Some((path, depth))) = (connects, mount.bound()) {
            let slot = steps.slot();
            clone_host(steps, path, depth, slot)?;
            made.push((index, slot));
        }
    }
    Ok(made)
}

/// Opens and clones those that [`lower_connected`] left, and adds their slots.
pub(crate) fn lower_others(
    steps: &mut Steps,
    mounts: &[Mount],
    made: &mut Vec<(usize, Slot)>,
) -> Result<(), SpawnError> {
    for (index, mount) in mounts.iter().enumerate() {
        let known = made.iter().any(|(at, _)| *at == index);
        if let (false, Some((path, depth))) = (known, mount.bound()) {
            let slot = steps.slot();
            clone_host(steps, path, depth, slot)?;
            made.push((index, slot));
        }
    }
    Ok(())
}

fn clone_host(
    steps: &mut Steps,
    path: &std::path::Path,
    depth: Depth,
    out: Slot,
) -> Result<(), SpawnError> {
    let (name, source) = (path.display(), steps.scratch.source);
    steps.add(format!("open `{name}`"), Op::OpenHost(encode(path)?, source));
    steps.add(format!("clone `{name}`"), Op::CloneTree(source, depth, out));
    Ok(())
}

/// Adds the steps of one mount; `connected` holds its clone if there is one already.
pub(crate) fn lower_mount(
    steps: &mut Steps,
    root: Slot,
    mount: &Mount,
    connected: Option<Slot>,
) -> Result<(), SpawnError> {
    let place = steps.scratch.place;
    let target = &mount.target;
    let made = lower_source(steps, mount, connected)?;
    lower_attributes(steps, mount, made);
    let kind = match mount.source {
        Source::Bind(_) | Source::BindOne(_) | Source::Mount(_) => Kind::Like(made),
        _ => Kind::Directory,
    };
    let ensure = Op::Ensure(root, target_parts(target, kind)?, place);
    steps.add(format!("create the mount point `{target}`"), ensure);
    let magic = match mount.source {
        Source::Proc => Some(PROC_SUPER_MAGIC),
        Source::Sysfs => Some(SYSFS_MAGIC),
        _ => None,
    };
    let Some(magic) = magic else {
        steps.add(format!("mount `{target}`"), Op::Attach(made, place));
        return Ok(());
    };
    open_real(steps, root, target, place)?;
    steps.add(format!("mount `{target}`"), Op::Attach(made, place));
    let found = steps.scratch.source;
    open_real(steps, root, target, found)?;
    steps.add(format!("verify `{target}`"), Op::CheckFileSystem(found, magic));
    Ok(())
}

fn lower_source(
    steps: &mut Steps,
    mount: &Mount,
    connected: Option<Slot>,
) -> Result<Slot, SpawnError> {
    if let Some(slot) = connected {
        return Ok(slot);
    }
    let made = steps.scratch.made;
    if let Source::Mount(fd) = &mount.source {
        return Ok(steps.program.give(Arc::clone(fd)));
    }
    if let Some((path, depth)) = mount.bound() {
        clone_host(steps, path, depth, made)?;
        return Ok(made);
    }
    let system = file_system(&mount.source, mount.all.set | mount.one.set)?;
    steps.add(format!("make the mount for `{}`", mount.target), Op::NewMount(system, made));
    Ok(made)
}

/// A new file system has its attributes from the start.
fn lower_attributes(steps: &mut Steps, mount: &Mount, made: Slot) {
    let target = &mount.target;
    let bound = mount.bound().is_some() || matches!(mount.source, Source::Mount(_));
    for (change, depth) in [(mount.all, Depth::All), (mount.one, Depth::One)] {
        if bound && change != Change::default() {
            let op = Op::SetAttributes(made, depth, attributes(change));
            steps.add(format!("restrict the mount for `{target}`"), op);
        }
    }
    if let Some((propagation, depth)) = mount.propagation {
        let change = Attributes { propagation: propagation as u64, ..Attributes::default() };
        let op = Op::SetAttributes(made, depth, change);
        steps.add(format!("set the propagation of the mount for `{target}`"), op);
    }
}

fn attributes(Change { set, clear }: Change) -> Attributes {
    let atime = if (set | clear) & ATIME == 0 { 0 } else { ATIME };
    Attributes { set: set.into(), clear: (clear | atime).into(), ..Attributes::default() }
}

fn open_real(steps: &mut Steps, root: Slot, path: &str, out: Slot) -> Result<(), NulError> {
    let open = Op::OpenRealDirectory(root, CString::new(path)?, out);
    steps.add(format!("open the mount point `{path}`"), open);
    Ok(())
}

fn file_system(source: &Source, attributes: u32) -> Result<NewFileSystem, NulError> {
    let (kind, options): (&str, &[String]) = match source {
        Source::Proc => ("proc", &[]),
        Source::Sysfs => ("sysfs", &[]),
        Source::New(kind, options) => (kind, options),
        Source::Bind(_) | Source::BindOne(_) | Source::Mount(_) => ("none", &[]),
    };
    let options = options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => Ok((CString::new(name)?, Some(CString::new(value)?))),
            None => Ok((CString::new(option.as_str())?, None)),
        })
        .collect::<Result<_, NulError>>()?;
    Ok(NewFileSystem { kind: CString::new(kind)?, options, attributes })
}

/// Splits a path for creation; `..` is refused, as what it means depends on links.
pub(crate) fn target_parts(path: &str, kind: Kind) -> Result<Target, SpawnError> {
    let (mut parts, mut whole) = (Vec::new(), String::new());
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name == ".." {
            return Err(SpawnError::ParentInPath { path: path.into() });
        }
        if !whole.is_empty() {
            whole.push('/');
        }
        whole.push_str(name);
        parts.push((CString::new(whole.as_str())?, CString::new(name)?));
    }
    Ok(Target { parts, kind })
}
