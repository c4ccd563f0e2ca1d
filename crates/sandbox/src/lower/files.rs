//! The root: what is in it, in the order in which it is asked for.
//!
//! The new root is mounted over the old one's `/`. No path of the host leads there, since a process's own
//! root is never left by its path, so sources are found as before; and it is unbindable meanwhile, so that
//! a bind of `/` does not hold it. Each place is found from the descriptor of the new root, inside which
//! links are followed (CVE-2026-87766), and each mount is attached by descriptors: what is renamed meanwhile
//! changes nothing.

use std::ffi::{CString, OsStr};
use std::io::IsTerminal as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use creel_spawn::Propagation;
use creel_spawn::mount::{NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY};
use creel_sys::program::{
    Attributes, Depth, Device, Kind, LastLink, Modes, NewFileSystem, Op, Overlay, Slot, Target,
};
use rustix::fs::{AtFlags, fstat, major, minor};

use super::{Context, Name, Part, Script, encode};
use crate::error::SandboxError;
use crate::sandbox::{Access, Change, Upper};

/// Devices of `/dev`, with their numbers (`Documentation/admin-guide/devices.txt` of the kernel).
const DEVICES: [(&str, [u32; 2]); 6] = [
    ("null", [1, 3]),
    ("zero", [1, 5]),
    ("full", [1, 7]),
    ("random", [1, 8]),
    ("urandom", [1, 9]),
    ("tty", [5, 0]),
];

/// Links of `/dev`.
const LINKS: [(&str, &str); 6] = [
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("fd", "/proc/self/fd"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// What of the host's `/proc` and `/sys` root could do harm with.
const COVERED: [&str; 4] = ["sys", "sysrq-trigger", "irq", "bus"];

/// `S_IFCHR` with reading and writing for all.
const CHARACTER_DEVICE: u32 = 0o020_666;

impl Context<'_> {
    pub(super) fn lower_files(&self, script: &mut Script) -> Result<(), SandboxError> {
        let host = script.program.slot();
        script.add(Name::Fixed("open the root"), Op::OpenHost(c"/".into(), host));
        // Mounts of the host still arrive; none of these shows there.
        let slave = propagation(Propagation::Slave);
        let op = Op::SetAttributes(host, Depth::All, slave);
        script.add(Name::Fixed("keep mounts from the host"), op);
        let base = self.new_memory(script, host, Propagation::Unbindable);
        let mut tree = Tree {
            context: self,
            script,
            host,
            root: base,
            hidden: None,
            uppers: 0,
            stacked: 0,
            index: 0,
        };
        for (index, change) in self.sandbox.changes.iter().enumerate() {
            tree.index = index;
            tree.lower(change)?;
        }
        let (root, stacked) = (tree.root, tree.stacked);
        if root == base {
            let op = Op::SetAttributes(root, Depth::One, propagation(Propagation::Private));
            script.add(Name::Fixed("make the root private"), op);
        }
        script.add(Name::Fixed("change the root"), Op::PivotRoot(root, stacked));
        Ok(())
    }

    /// A file system in memory over the host's root.
    fn new_memory(&self, script: &mut Script, host: Slot, kind: Propagation) -> Slot {
        let made = script.program.slot();
        let system = self.memory(0o755, None);
        script.add(Name::Fixed("make a root in memory"), Op::NewMount(system, made));
        let op = Op::SetAttributes(made, Depth::One, propagation(kind));
        script.add(Name::Fixed("keep the root apart"), op);
        script.add(Name::Fixed("attach the root"), Op::Attach(made, host));
        made
    }

    fn memory(&self, mode: u32, size: Option<u64>) -> NewFileSystem {
        let text = |text: String| CString::new(text).unwrap_or_default();
        let mut options = vec![(c"mode".into(), Some(text(format!("{mode:o}"))))];
        options.extend(size.map(|size| (c"size".into(), Some(text(size.to_string())))));
        if let Some(label) = &self.sandbox.label {
            let label = CString::new(label.as_bytes()).unwrap_or_default();
            options.push((c"context".into(), Some(label)));
        }
        new_system(c"tmpfs".into(), options, NO_SUID | NO_DEVICES)
    }
}

fn new_system(
    kind: CString,
    options: Vec<(CString, Option<CString>)>,
    attributes: u32,
) -> NewFileSystem {
    NewFileSystem { kind, options, attributes, stand_in: None }
}

fn propagation(kind: Propagation) -> Attributes {
    Attributes { propagation: kind as u64, ..Attributes::default() }
}

struct Tree<'a, 'b> {
    context: &'a Context<'b>,
    script: &'a mut Script,
    /// Holds the host's root.
    host: Slot,
    /// Holds the root, which is another once something is mounted on `/`.
    root: Slot,
    /// Holds memory that no path leads to: for upper directories, and files that are bound.
    hidden: Option<Slot>,
    /// How many upper directories are in it.
    uppers: usize,
    /// How many mounts are on the host's root besides the new one.
    stacked: usize,
    /// Of the change.
    index: usize,
}

/// A place below the root.
struct Place {
    path: CString,
    /// Whether it is the root itself.
    is_root: bool,
    /// Whether it leads up somewhere, perhaps to the root.
    leads_up: bool,
}

impl Place {
    fn of(path: &Path) -> Result<Self, SandboxError> {
        let mut names: Vec<&OsStr> = Vec::new();
        let mut leads_up = false;
        for component in path.components() {
            match component {
                Component::Normal(name) => names.push(name),
                Component::ParentDir => {
                    leads_up = true;
                    names.push(OsStr::new(".."));
                }
                _ => {}
            }
        }
        let is_root = names.is_empty();
        let joined = if is_root { PathBuf::from(".") } else { names.iter().collect() };
        Ok(Self { path: encode(&joined)?, is_root, leads_up })
    }

    /// The same, which must be a directory.
    fn directory(self) -> Result<CString, SandboxError> {
        let mut bytes = self.path.into_bytes();
        bytes.push(b'/');
        Ok(CString::new(bytes)?)
    }
}

/// Whether a path is a place below the root: relative, or refused for a null byte.
pub(crate) fn is_place(path: &Path) -> bool {
    Place::of(path).map_or(true, |place| !place.path.as_bytes().starts_with(b"/"))
}

/// The bits of directories on the way to what has these: whom it is closed to, they are too.
const fn parents(mode: u32) -> u32 {
    let group = if mode & 0o070 == 0 { 0o050 } else { 0 };
    let others = if mode & 0o007 == 0 { 0o005 } else { 0 };
    0o755 & !group & !others
}

/// What places of mounts are made with.
const MOUNT_POINT: Modes = Modes { parents: 0o755, directory: 0o755, file: 0o444 };

impl Tree<'_, '_> {
    fn lower(&mut self, change: &Change) -> Result<(), SandboxError> {
        match change {
            Change::Bind { source, at, access, optional } => {
                if *optional && is_missing(source) {
                    return Ok(());
                }
                self.open(source)?;
                self.bind(at, attributes(*access))
            }
            Change::BindOpen { source, at, access } => {
                self.open_same(source)?;
                self.bind(at, attributes(*access))
            }
            Change::RemountReadOnly { at } => self.remount(at),
            Change::Overlay { layers, upper, at } => self.overlay(layers, upper, at),
            Change::Proc { at } => self.proc(at),
            Change::Dev { at } => self.dev(at),
            Change::Tmpfs { at, mode, size } => {
                let modes = Modes { parents: parents(*mode), ..MOUNT_POINT };
                self.mount_new(self.context.memory(*mode, *size), at, modes).map(drop)
            }
            Change::Mqueue { at } => {
                let flags = NO_SUID | NO_DEVICES | NO_EXEC;
                let system = new_system(c"mqueue".into(), Vec::new(), flags);
                self.mount_new(system, at, MOUNT_POINT).map(drop)
            }
            Change::Dir { at, mode } => {
                let path = Place::of(at)?.directory()?;
                let modes = Modes { parents: parents(*mode), directory: *mode, ..MOUNT_POINT };
                let target =
                    Target { path, kind: Kind::Directory, modes, last: LastLink::Followed };
                self.add(Part::Content, Op::Ensure(self.root, target, self.place()));
                Ok(())
            }
            Change::File { from, at, mode } => {
                let from = self.script.give(from);
                let path = Place::of(at)?.path;
                let modes = Modes { parents: parents(*mode), file: *mode, ..MOUNT_POINT };
                let target = Target { path, kind: Kind::File, modes, last: LastLink::Followed };
                self.add(Part::Place, Op::Ensure(self.root, target, self.place()));
                self.add(Part::Content, Op::Fill(self.place(), from));
                Ok(())
            }
            Change::Data { from, at, mode, read_only } => self.data(from, at, *mode, *read_only),
            Change::Link { text, at } => self.link(text, at),
            Change::Mode { at, mode } => {
                let path = Place::of(at)?.path;
                self.add(Part::Place, Op::OpenInRoot(self.root, path, self.place()));
                self.add(Part::Content, Op::Mode(self.place(), *mode));
                Ok(())
            }
            Change::Hostname(name) => {
                let name = CString::new(name.as_bytes())?;
                self.add(Part::Content, Op::Hostname(name));
                Ok(())
            }
        }
    }

    fn add(&mut self, part: Part, op: Op) {
        self.script.add(Name::Change(self.index, part), op);
    }

    fn place(&self) -> Slot {
        self.script.scratch.place
    }

    fn source(&self) -> Slot {
        self.script.scratch.source
    }

    /// The slot for a mount, which stays if it becomes the root.
    fn made(&mut self, place: &Place) -> Slot {
        if place.is_root { self.script.program.slot() } else { self.script.scratch.made }
    }

    fn open(&mut self, source: &Path) -> Result<(), SandboxError> {
        self.add(Part::Source, Op::OpenHost(encode(source)?, self.source()));
        Ok(())
    }

    /// Finds what a descriptor holds by its path, in this mount namespace: the kernel binds nothing of
    /// another one.
    fn open_same(&mut self, fd: &OwnedFd) -> Result<(), SandboxError> {
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let path = std::fs::read_link(link).map_err(SandboxError::Descriptor)?;
        let stat = fstat(fd.as_fd()).map_err(|error| SandboxError::Descriptor(error.into()))?;
        self.open(&path)?;
        self.add(Part::Source, Op::CheckSame(self.source(), [stat.st_dev, stat.st_ino]));
        Ok(())
    }

    /// Makes a place for a mount.
    fn ensure(&mut self, place: &Place, kind: Kind, modes: Modes) {
        let target = Target { path: place.path.clone(), kind, modes, last: LastLink::Refused };
        self.add(Part::Place, Op::Ensure(self.root, target, self.place()));
        if place.leads_up {
            // What is mounted there must be found from the root.
            self.add(Part::Place, Op::CheckDistinct(self.place(), self.root));
        }
    }

    fn attach(&mut self, made: Slot, place: &Place) {
        self.add(Part::Mount, Op::Attach(made, self.place()));
        self.attached(made, place);
    }

    /// What is mounted on the root is the root.
    fn attached(&mut self, made: Slot, place: &Place) {
        if place.is_root {
            self.root = made;
            self.stacked += 1;
        }
    }

    /// Binds what is open as the source.
    fn bind(&mut self, at: &Path, attributes: u32) -> Result<(), SandboxError> {
        self.bind_as(at, attributes, Depth::All)
    }

    fn bind_as(&mut self, at: &Path, attributes: u32, depth: Depth) -> Result<(), SandboxError> {
        let place = Place::of(at)?;
        let (made, source) = (self.made(&place), self.source());
        self.add(Part::Mount, Op::CloneTree(source, depth, made));
        let set = Attributes { set: attributes.into(), ..Attributes::default() };
        self.add(Part::Mount, Op::SetAttributes(made, depth, set));
        self.ensure(&place, Kind::Like(source), MOUNT_POINT);
        self.attach(made, &place);
        Ok(())
    }

    fn mount_new(
        &mut self,
        system: NewFileSystem,
        at: &Path,
        modes: Modes,
    ) -> Result<Slot, SandboxError> {
        let place = Place::of(at)?;
        let made = self.made(&place);
        self.add(Part::Mount, Op::NewMount(system, made));
        self.ensure(&place, Kind::Directory, modes);
        self.attach(made, &place);
        Ok(made)
    }

    fn remount(&mut self, at: &Path) -> Result<(), SandboxError> {
        let place = Place::of(at)?;
        let set = Attributes { set: READ_ONLY.into(), ..Attributes::default() };
        let mount = if place.is_root {
            self.root
        } else {
            self.add(Part::Place, Op::OpenInRoot(self.root, place.path, self.place()));
            self.place()
        };
        self.add(Part::Mount, Op::SetAttributes(mount, Depth::One, set));
        Ok(())
    }

    fn overlay(
        &mut self,
        layers: &[PathBuf],
        upper: &Upper,
        at: &Path,
    ) -> Result<(), SandboxError> {
        let (upper, upper_in) = match upper {
            Upper::None => (None, None),
            Upper::Directory { upper, work } => (Some([encode(upper)?, encode(work)?]), None),
            Upper::Memory => {
                let (hidden, paths) = self.upper_in_memory()?;
                (Some(paths), Some(hidden))
            }
        };
        let place = Place::of(at)?;
        let made = self.made(&place);
        self.ensure(&place, Kind::Directory, MOUNT_POINT);
        let overlay = Overlay {
            lowers: layers.iter().map(|path| encode(path)).collect::<Result<_, _>>()?,
            mounts: Vec::new(),
            upper,
            upper_in,
            options: vec![(c"userxattr".into(), None)],
            attributes: NO_SUID | NO_DEVICES,
            place: self.place(),
            classic: false,
        };
        self.add(Part::Mount, Op::Overlay(overlay, made));
        self.attached(made, &place);
        Ok(())
    }

    /// An upper and a work directory, in memory that is reached by no path.
    fn upper_in_memory(&mut self) -> Result<(Slot, [CString; 2]), SandboxError> {
        let (hidden, number) = (self.hidden_memory(), self.uppers);
        self.uppers += 1;
        let path = |name: &str| CString::new(format!("{name}{number}"));
        let paths = [path("upper")?, path("work")?];
        for path in paths.clone() {
            let target =
                Target { path, kind: Kind::Directory, modes: MOUNT_POINT, last: LastLink::Refused };
            self.add(Part::Source, Op::Ensure(hidden, target, self.place()));
        }
        Ok((hidden, paths))
    }

    /// What is bound or is a layer must be attached: to the host's root, as the first root is. It comes
    /// on top of that, which is unbindable, so no bind of `/` holds it either.
    fn hidden_memory(&mut self) -> Slot {
        if let Some(hidden) = self.hidden {
            return hidden;
        }
        self.stacked += 1;
        let made = self.context.new_memory(self.script, self.host, Propagation::Private);
        self.hidden = Some(made);
        made
    }

    fn proc(&mut self, at: &Path) -> Result<(), SandboxError> {
        if self.context.changes_pid() {
            let source = vec![(c"source".into(), Some(c"proc".into()))];
            let system = new_system(c"proc".into(), source, NO_SUID | NO_DEVICES | NO_EXEC);
            self.mount_new(system, at, MOUNT_POINT)?;
        } else {
            self.open(Path::new("/proc"))?;
            self.bind(at, NO_SUID | NO_DEVICES)?;
        }
        // In another user namespace nobody can write there.
        if !self.context.changes_user() {
            for name in COVERED {
                let path = Place::of(&at.join(name))?.path;
                self.add(Part::Content, Op::ReadOnly(self.root, path));
            }
        }
        Ok(())
    }

    fn dev(&mut self, at: &Path) -> Result<(), SandboxError> {
        let place = Place::of(at)?;
        let dev = self.script.program.slot();
        self.add(Part::Mount, Op::NewMount(self.context.memory(0o755, None), dev));
        self.ensure(&place, Kind::Directory, MOUNT_POINT);
        self.attach(dev, &place);
        for (name, numbers) in DEVICES {
            let host = encode(&Path::new("/dev").join(name))?;
            let (mode, owner) = (CHARACTER_DEVICE, [0, 0]);
            let name = CString::new(name)?;
            let device = Device { directory: dev, name, host, mode, numbers, owner, bound: true };
            self.add(Part::Content, Op::Device(device));
        }
        for (name, text) in LINKS {
            self.add(Part::Content, Op::Link(CString::new(text)?, dev, CString::new(name)?));
        }
        self.make_in(dev, c"shm", Kind::Directory);
        let options = [("newinstance", None), ("ptmxmode", Some("666")), ("mode", Some("620"))];
        let option = |(name, value): (&str, Option<&str>)| -> Result<_, SandboxError> {
            Ok((CString::new(name)?, value.map(CString::new).transpose()?))
        };
        let options = options.into_iter().map(option).collect::<Result<_, _>>()?;
        let made = self.script.scratch.made;
        let system = new_system(c"devpts".into(), options, NO_SUID | NO_EXEC);
        self.add(Part::Content, Op::NewMount(system, made));
        self.make_in(dev, c"pts", Kind::Directory);
        self.add(Part::Content, Op::Attach(made, self.place()));
        self.console(dev)
    }

    fn make_in(&mut self, directory: Slot, name: &std::ffi::CStr, kind: Kind) {
        let target =
            Target { path: name.into(), kind, modes: MOUNT_POINT, last: LastLink::Refused };
        self.add(Part::Content, Op::Ensure(directory, target, self.place()));
    }

    /// The terminal that the program can write to in any case gets a name, so that `ttyname` finds one.
    fn console(&mut self, dev: Slot) -> Result<(), SandboxError> {
        let stdout = std::io::stdout();
        let path = std::fs::read_link("/proc/self/fd/1");
        let (true, Ok(path)) = (stdout.is_terminal(), path) else { return Ok(()) };
        let Ok(stat) = fstat(stdout.as_fd()) else { return Ok(()) };
        // It may be one of another container, which has no path here.
        let found = rustix::fs::statat(rustix::fs::CWD, &path, AtFlags::empty());
        if !found.is_ok_and(|found| found.st_rdev == stat.st_rdev) {
            return Ok(());
        }
        let (made, source) = (self.script.scratch.made, self.source());
        self.add(Part::Content, Op::OpenHost(encode(&path)?, source));
        let numbers = (major(stat.st_rdev), minor(stat.st_rdev));
        self.add(Part::Content, Op::CheckDevice(source, numbers.0, numbers.1));
        self.add(Part::Content, Op::CloneTree(source, Depth::One, made));
        self.make_in(dev, c"console", Kind::File);
        self.add(Part::Content, Op::Attach(made, self.place()));
        Ok(())
    }

    fn data(
        &mut self,
        from: &Arc<OwnedFd>,
        at: &Path,
        mode: u32,
        read_only: bool,
    ) -> Result<(), SandboxError> {
        let (from, source) = (self.script.give(from), self.source());
        let hidden = self.hidden_memory();
        let path = CString::new(format!("data{}", self.index))?;
        let modes = Modes { file: mode, ..MOUNT_POINT };
        let target = Target { path, kind: Kind::File, modes, last: LastLink::Refused };
        self.add(Part::Content, Op::Ensure(hidden, target, source));
        self.add(Part::Content, Op::Fill(source, from));
        let access = if read_only { Access::ReadOnly } else { Access::Write };
        let place = Place::of(at)?;
        let made = self.made(&place);
        self.add(Part::Mount, Op::CloneTree(source, Depth::One, made));
        let set = Attributes { set: attributes(access).into(), ..Attributes::default() };
        self.add(Part::Mount, Op::SetAttributes(made, Depth::One, set));
        let modes = Modes { parents: parents(mode), ..MOUNT_POINT };
        self.ensure(&place, Kind::File, modes);
        self.attach(made, &place);
        Ok(())
    }

    fn link(&mut self, text: &Path, at: &Path) -> Result<(), SandboxError> {
        let parent = Place::of(at.parent().unwrap_or_else(|| Path::new("/")))?.directory()?;
        let name = at.file_name().unwrap_or_else(|| OsStr::new("."));
        let target = Target {
            path: parent,
            kind: Kind::Directory,
            modes: MOUNT_POINT,
            last: LastLink::Followed,
        };
        self.add(Part::Place, Op::Ensure(self.root, target, self.place()));
        let link = Op::SameLink(encode(text)?, self.place(), encode(Path::new(name))?);
        self.add(Part::Content, link);
        Ok(())
    }
}

const fn attributes(access: Access) -> u32 {
    match access {
        Access::ReadOnly => NO_SUID | NO_DEVICES | READ_ONLY,
        Access::Write => NO_SUID | NO_DEVICES,
        Access::Devices => NO_SUID,
    }
}

/// Whether nothing is there; an error that says anything else is one when it is opened.
fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_below_the_root() {
        for (path, expected, is_root, leads_up) in [
            ("/", c".", true, false),
            ("", c".", true, false),
            ("/./", c".", true, false),
            ("/a//b/", c"a/b", false, false),
            ("a/../b", c"a/../b", false, true),
            ("../..", c"../..", false, true),
        ] {
            let place = Place::of(Path::new(path)).unwrap();
            assert_eq!(
                (place.path.as_c_str(), place.is_root, place.leads_up),
                (expected, is_root, leads_up)
            );
        }
    }

    #[test]
    fn what_is_closed_to_some_has_parents_that_are() {
        for (mode, expected) in [(0o1777, 0o755), (0o640, 0o750), (0o604, 0o705), (0, 0o700)] {
            assert_eq!(parents(mode), expected);
        }
    }
}
