//! Mounts of a plan, and their lowering.

use std::collections::BTreeMap;
use std::ffi::{CString, NulError};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use creel_sys::program::{
    Attributes, Depth, Kind, LastLink, Modes, NewFileSystem, Op, Slot, Target,
};

use crate::device::single_name;
use crate::error::SpawnError;
use crate::lower::Steps;
use crate::root::encode;
use crate::userns::IdMaps;

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
/// The magic number of procfs (`statfs(2)`).
pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;
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
    /// A file or directory of the host with ids of its own.
    Mapped(Mapped),
    /// What is mounted there already, which gets other attributes.
    There,
    /// Nothing: a symbolic link with this text is made, unless there is something.
    Link(String),
}

/// A file or directory of the host whose files have other owners than on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its path.
    pub path: PathBuf,
    /// Whether the mounts below it come too.
    pub depth: Depth,
    /// Whether those are mapped as well.
    pub mapped: Depth,
    /// Ids on disk and ids that they are shown as.
    pub ids: Ids,
}

/// Which ids a mount has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Ids on disk are those inside, and they are shown as those outside.
    Map(IdMaps),
    /// Those of the user namespace that the plan makes or joins: what id 0 owns on disk belongs to root
    /// in there.
    Container,
}

/// What a new file system is, besides its type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Symbolic links made in it: name, text.
    pub links: Vec<(String, String)>,
    /// Whether it gets the permission bits of the directory that it covers.
    pub same_mode: bool,
    /// Whether it gets what is in that directory.
    pub copied: bool,
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
    /// A path of the host that is bound read-only where the kernel refuses a new file system.
    pub stand_in: Option<PathBuf>,
    /// The magic number of the file system that a bound source must be of.
    pub magic: Option<i64>,
    /// What is in a new file system.
    pub contents: Contents,
    /// Whether a bind mount has the attributes in `one` alone, and none of those of its source but what
    /// the kernel keeps there.
    pub replaces: bool,
    /// What is done with links at the end of a path of the host and of the target.
    pub links: Links,
}

/// What is done with links at the end of paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Whether one that is the source is bound itself.
    pub source_itself: bool,
    /// Whether one that is the target is mounted on.
    pub target_itself: bool,
}

impl Mount {
    /// A mount that has attributes, like all mounts below it.
    pub fn new(source: Source, target: impl Into<String>, attributes: u32) -> Self {
        Self {
            source,
            target: target.into(),
            one: Change::default(),
            all: Change { set: attributes, clear: 0 },
            propagation: None,
            stand_in: None,
            magic: None,
            contents: Contents::default(),
            replaces: false,
            links: Links::default(),
        }
    }

    /// Whether it must stay writable until all is made that is in it: what it is mounted on is copied
    /// to it, or one of the later mounts is below it.
    fn waits(&self, later: &[Self]) -> bool {
        let read_only = (self.one.set | self.all.set) & READ_ONLY != 0;
        let Source::New(kind, _) = &self.source else { return false };
        if !read_only || kind != "tmpfs" {
            return false;
        }
        let place = self.target.trim_matches('/');
        let below = |mount: &Self| {
            let rest = mount.target.trim_matches('/').strip_prefix(place);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        // `/dev` gets nodes and links.
        self.contents != Contents::default() || place == "dev" || later.iter().any(below)
    }

    /// Whether it is a new file system.
    fn is_new(&self) -> bool {
        matches!(self.source, Source::Proc | Source::Sysfs | Source::New(..))
    }

    /// What replaces the attributes of the source. As with `mount(8)`, access times stay as they are if
    /// nothing is said of them.
    fn whole(&self) -> Change {
        let Change { set, clear } = self.one;
        let times = ATIME | NO_DIR_ATIME;
        let all = READ_ONLY | NO_SUID | NO_DEVICES | NO_EXEC | NO_SYMLINKS;
        let all = if (set | clear) & times == 0 { all } else { all | times };
        Change { set, clear: (all | clear) & !(set | self.all.set) }
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
) -> Result<BTreeMap<usize, Slot>, SpawnError> {
    let mut made = BTreeMap::new();
    for (index, mount) in mounts.iter().enumerate() {
        let connects = mount.propagation.is_some_and(|(kind, _)| kind.connects());
        if let (true, Some((path, depth))) = (connects, mount.bound()) {
            let slot = steps.slot();
            clone_host(steps, path, depth, mount, slot)?;
            made.insert(index, slot);
        }
    }
    Ok(made)
}

/// Opens and clones those that [`lower_connected`] left, and adds their slots.
pub(crate) fn lower_others(
    steps: &mut Steps,
    mounts: &[Mount],
    made: &mut BTreeMap<usize, Slot>,
) -> Result<(), SpawnError> {
    for (index, mount) in mounts.iter().enumerate() {
        if let (false, Some((path, depth))) = (made.contains_key(&index), mount.bound()) {
            let slot = steps.slot();
            clone_host(steps, path, depth, mount, slot)?;
            made.insert(index, slot);
        }
    }
    Ok(())
}

fn clone_host(
    steps: &mut Steps,
    path: &std::path::Path,
    depth: Depth,
    mount: &Mount,
    out: Slot,
) -> Result<(), SpawnError> {
    let (name, source) = (path.display(), steps.scratch.source);
    let open = if mount.links.source_itself { Op::OpenHostItself } else { Op::OpenHost };
    steps.add(format!("open `{name}`"), open(encode(path)?, source));
    if let Some(magic) = mount.magic {
        steps.add(format!("verify `{name}`"), Op::CheckFileSystem(source, magic));
    }
    steps.add(format!("clone `{name}`"), Op::CloneTree(source, depth, out));
    Ok(())
}

/// Adds the steps of one mount; `connected` holds its clone if there is one already. Returns the slot of
/// one that is to become read-only when all is made, and its place.
pub(crate) fn lower_mount<'a>(
    steps: &mut Steps,
    root: Slot,
    mount: &'a Mount,
    connected: Option<Slot>,
    later: &[Mount],
) -> Result<Option<(&'a str, Slot)>, SpawnError> {
    match &mount.source {
        Source::There => return lower_remount(steps, root, mount).map(|()| None),
        Source::Link(text) => return lower_link(steps, root, mount, text).map(|()| None),
        _ => {}
    }
    let (place, target, waits) = (steps.scratch.place, &mount.target, mount.waits(later));
    let late = waits.then(|| steps.slot());
    let made = lower_source(steps, mount, connected, late)?;
    lower_attributes(steps, mount, made);
    let kind = if mount.is_new() { Kind::Directory } else { Kind::Like(made) };
    let last = if mount.links.target_itself { LastLink::Taken } else { LastLink::Followed };
    let path = Target { last, ..self::target(target, kind)? };
    steps.add(format!("create the mount point `{target}`"), Op::Ensure(root, path, place));
    let magic = match mount.source {
        Source::Proc => Some(PROC_SUPER_MAGIC),
        Source::Sysfs => Some(SYSFS_MAGIC),
        _ => None,
    };
    if magic.is_some() {
        open_real(steps, root, target, place)?;
    }
    steps.add(format!("mount `{target}`"), Op::Attach(made, place));
    if let Some(magic) = magic {
        let found = steps.scratch.source;
        open_real(steps, root, target, found)?;
        steps.add(format!("verify `{target}`"), Op::CheckFileSystem(found, magic));
    }
    lower_contents(steps, mount, made)?;
    Ok(late.map(|slot| (target.as_str(), slot)))
}

/// Fills a new file system; the place is that which it covers.
fn lower_contents(steps: &mut Steps, mount: &Mount, made: Slot) -> Result<(), SpawnError> {
    let (place, target, contents) = (steps.scratch.place, &mount.target, &mount.contents);
    if contents.same_mode {
        steps.add(format!("set the mode of `{target}`"), Op::CopyMode(place, made));
    }
    if contents.copied {
        steps.add(format!("copy what was in `{target}`"), Op::CopyTree(place, made));
    }
    for (name, text) in &contents.links {
        let link = Op::Link(CString::new(text.as_str())?, made, single_name(name)?);
        steps.add(format!("link `{name}` in `{target}`"), link);
    }
    Ok(())
}

fn lower_remount(steps: &mut Steps, root: Slot, mount: &Mount) -> Result<(), SpawnError> {
    let (place, target) = (steps.scratch.place, &mount.target);
    let path = self::target(target, Kind::Directory)?.path;
    steps.add(format!("open `{target}`"), Op::OpenInRoot(root, path, place));
    lower_attributes(steps, mount, place);
    Ok(())
}

fn lower_link(steps: &mut Steps, root: Slot, mount: &Mount, text: &str) -> Result<(), SpawnError> {
    let (place, target) = (steps.scratch.place, mount.target.trim_end_matches('/'));
    let (directory, name) = target.rsplit_once('/').unwrap_or((".", target));
    let directory = self::target(directory, Kind::Directory)?;
    steps.add(format!("create the directory of `{target}`"), Op::Ensure(root, directory, place));
    let link = Op::Link(CString::new(text)?, place, single_name(name)?);
    steps.add(format!("link `{target}`"), link);
    Ok(())
}

fn lower_source(
    steps: &mut Steps,
    mount: &Mount,
    connected: Option<Slot>,
    late: Option<Slot>,
) -> Result<Slot, SpawnError> {
    if let Some(slot) = connected {
        return Ok(slot);
    }
    let made = late.unwrap_or(steps.scratch.made);
    if let Source::Mount(fd) = &mount.source {
        return Ok(steps.program.give(Arc::clone(fd)));
    }
    if let Some((path, depth)) = mount.bound() {
        clone_host(steps, path, depth, mount, made)?;
        return Ok(made);
    }
    if !mount.is_new() {
        return Ok(made);
    }
    let keep = if late.is_some() { !READ_ONLY } else { !0 };
    let system = file_system(mount, (mount.all.set | mount.one.set) & keep)?;
    steps.add(format!("make the mount for `{}`", mount.target), Op::NewMount(system, made));
    Ok(made)
}

/// A new file system has its attributes from the start.
fn lower_attributes(steps: &mut Steps, mount: &Mount, made: Slot) {
    let target = &mount.target;
    let bound = !mount.is_new();
    for (change, depth) in [(mount.all, Depth::All), (mount.one, Depth::One)] {
        if bound && depth == Depth::One && mount.replaces {
            let op = Op::ReplaceAttributes(made, attributes(mount.whole()), attributes(change));
            steps.add(format!("set the attributes of the mount for `{target}`"), op);
        } else if bound && change != Change::default() {
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
    // The words are those that callers of runtimes know.
    let rule = "it must be mounted on ordinary directory";
    steps.add(format!("open the mount point `{path}` ({rule})"), open);
    Ok(())
}

fn file_system(mount: &Mount, attributes: u32) -> Result<NewFileSystem, SpawnError> {
    let own = |kind: &'static str| (kind, vec![format!("source={kind}")]);
    let (kind, options): (&str, _) = match &mount.source {
        Source::Sysfs => own("sysfs"),
        Source::New(kind, options) => (kind, options.clone()),
        _ => own("proc"),
    };
    let options = options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => Ok((CString::new(name)?, Some(CString::new(value)?))),
            None => Ok((CString::new(option.as_str())?, None)),
        })
        .collect::<Result<_, NulError>>()?;
    let stand_in = mount.stand_in.as_deref().map(encode).transpose()?;
    Ok(NewFileSystem { kind: CString::new(kind)?, options, attributes, stand_in })
}

/// A path of which what is missing is made; `..` is refused, as what it means depends on links.
pub(crate) fn target(path: &str, kind: Kind) -> Result<Target, SpawnError> {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    let names: Vec<_> = names.collect();
    if names.contains(&"..") {
        return Err(SpawnError::ParentInPath { path: path.into() });
    }
    let path = if names.is_empty() { ".".into() } else { names.join("/") };
    let (path, modes) = (CString::new(path)?, Modes::default());
    Ok(Target { path, kind, modes, last: LastLink::Followed })
}
