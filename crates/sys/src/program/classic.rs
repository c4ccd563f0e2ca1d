//! Mounts by `mount(2)`, where the calls for mounts by descriptor are missing (before Linux 5.2, and
//! `mount_setattr` before 5.12) or kept back by a filter.
//!
//! A mount that is attached nowhere does not exist there: what it is to be is noted, and made once it is
//! attached. Places are named `/proc/self/fd/N`. The new mount is found by the path of its place again,
//! and what is found must be it: whoever can rename things there could lead this walk elsewhere.
//!
//! What cannot be done, such as attributes of all mounts below one, fails with `ENOSYS`.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::{c_ulong, syscall};

use super::Slot;
use super::call::{State, close, errno, fail, high, ok, open, stat};
use super::mounts::{is_refused, move_to, restriction};
use super::op::{Attributes, Depth, NewFileSystem};
use super::text::{Link, Options};

/// `MOUNT_ATTR__ATIME`, of which `relatime` is nothing.
const ATIME: u64 = 0x70;
/// `MOUNT_ATTR_NOATIME`.
const NO_ATIME: u64 = 0x10;
/// `MOUNT_ATTR_STRICTATIME`.
const STRICT_ATIME: u64 = 0x20;
/// Attributes of `mount_setattr` with their flags of `mount` and of `statfs`; access times apart.
const FLAGS: [(u64, c_ulong, u64); 6] = [
    (1, libc::MS_RDONLY, 1),
    (2, libc::MS_NOSUID, 2),
    (4, libc::MS_NODEV, 4),
    (8, libc::MS_NOEXEC, 8),
    (0x80, libc::MS_NODIRATIME, 0x800),
    // MS_NOSYMFOLLOW and ST_NOSYMFOLLOW (5.10).
    (0x0020_0000, 0x100, 0x2000),
];
/// Options of all file systems that `mount` takes as flags.
const OPTIONS: [(&CStr, c_ulong); 5] = [
    (c"ro", libc::MS_RDONLY),
    (c"sync", libc::MS_SYNCHRONOUS),
    (c"dirsync", libc::MS_DIRSYNC),
    (c"mand", libc::MS_MANDLOCK),
    (c"lazytime", libc::MS_LAZYTIME),
];

/// What is known of each slot, and whether it is needed.
pub(super) struct Classic<'a> {
    pub(super) on: bool,
    notes: Vec<Note<'a>>,
}

#[derive(Clone, Copy, Default)]
struct Note<'a> {
    /// How a place was opened: where from, by which path, and how links were taken.
    place: Option<(RawFd, &'a CStr, u64)>,
    /// What a mount that is not attached yet is to be made of.
    source: Source<'a>,
    /// What it is to have once it is.
    change: Attributes,
    attached: bool,
}

#[derive(Clone, Copy, Default)]
enum Source<'a> {
    /// The slot holds a mount.
    #[default]
    Itself,
    /// The slot holds what is bound.
    Bind(Depth),
    New(&'a NewFileSystem),
}

impl<'a> Classic<'a> {
    pub(super) fn new(slots: usize) -> Self {
        Self { on: false, notes: vec![Note::default(); slots] }
    }

    /// Notes how the place in a slot was found.
    pub(super) fn opened(&mut self, slot: Slot, from: RawFd, path: &'a CStr, resolve: u64) {
        if let Some(note) = self.notes.get_mut(slot.0) {
            *note = Note { place: Some((from, path, resolve)), ..Note::default() };
        }
    }

    /// Notes that a slot holds a mount that is attached nowhere.
    pub(super) fn detached(&mut self, slot: Slot) {
        if let Some(note) = self.notes.get_mut(slot.0) {
            *note = Note::default();
        }
    }

    /// Notes that the mount in a slot is attached.
    pub(super) fn attached(&mut self, slot: Slot) {
        if let Some(note) = self.notes.get_mut(slot.0) {
            *note = Note { place: note.place, attached: true, ..Note::default() };
        }
    }

    /// Whether something is noted that is to be made later.
    pub(super) fn has_unmade(&self) -> bool {
        self.on && (0..self.notes.len()).any(|number| self.is_unmade(Slot(number)))
    }

    /// Whether a slot stands for something that is made once it is attached.
    pub(super) fn is_unmade(&self, slot: Slot) -> bool {
        let unmade = |note: &Note<'_>| !matches!(note.source, Source::Itself) && !note.attached;
        self.notes.get(slot.0).is_some_and(unmade)
    }

    fn note(&self, slot: Slot) -> Option<Note<'a>> {
        self.notes.get(slot.0).copied().or_else(|| fail(libc::EINVAL))
    }

    /// Opens the place in a slot by its path again, which leads to what is mounted there now.
    pub(super) fn open_again(&self, slot: Slot) -> Option<RawFd> {
        let Some((from, path, resolve)) = self.note(slot)?.place else {
            return fail(libc::ENOSYS);
        };
        open(from, path, libc::O_PATH, resolve)
    }

    fn make_later(&mut self, slot: Slot, source: Source<'a>) -> Option<()> {
        let Some(note) = self.notes.get_mut(slot.0) else { return fail(libc::EINVAL) };
        *note = Note { source, ..Note::default() };
        Some(())
    }
}

pub(super) fn clone_tree(
    state: &mut State<'_>,
    from: RawFd,
    depth: Depth,
    out: Slot,
) -> Option<()> {
    state.set(out, high(from)?)?;
    state.classic.make_later(out, Source::Bind(depth))
}

pub(super) fn new_mount<'a>(
    state: &mut State<'a>,
    system: &'a NewFileSystem,
    out: Slot,
) -> Option<()> {
    // Nothing is there yet; the number only marks the slot as taken.
    let mark = high(state.report)?;
    state.set(out, mark)?;
    state.classic.make_later(out, Source::New(system))
}

pub(super) fn set_attributes(
    state: &mut State<'_>,
    mount: Slot,
    depth: Depth,
    attributes: Attributes,
) -> Option<()> {
    let note = state.classic.note(mount)?;
    if note.attached {
        return apply(state.get(mount)?, depth, attributes);
    }
    let connects = attributes.propagation & (libc::MS_SHARED | libc::MS_SLAVE) != 0;
    let changes = attributes.set | attributes.clear != 0;
    match note.source {
        // What is bound later is not connected with the host any more.
        Source::Bind(_) if connects => return fail(libc::ENOSYS),
        Source::Bind(Depth::All) | Source::Itself if changes && depth == Depth::All => {
            return fail(libc::ENOSYS);
        }
        _ => {}
    }
    let Some(note) = state.classic.notes.get_mut(mount.0) else { return fail(libc::EINVAL) };
    let kept = &mut note.change;
    kept.set = kept.set & !attributes.clear | attributes.set;
    kept.clear = kept.clear & !attributes.set | attributes.clear;
    kept.propagation |= attributes.propagation;
    Some(())
}

pub(super) fn attach(state: &mut State<'_>, mount: Slot, place: Slot) -> Option<()> {
    let note = state.classic.note(mount)?;
    let (made, at) = (state.get(mount)?, state.get(place)?);
    match note.source {
        Source::Itself => move_to(made, at)?,
        Source::Bind(depth) => bind(&Link::new(made), at, depth)?,
        Source::New(system) => mount_new(system, at)?,
    }
    if !matches!(note.source, Source::Itself) {
        let found = state.classic.open_again(place)?;
        let expected = if matches!(note.source, Source::New(_)) { None } else { Some(made) };
        verify(found, at, expected)?;
        state.set(mount, found)?;
    }
    let new = if let Source::New(system) = note.source { system.attributes.into() } else { 0 };
    state.classic.attached(mount);
    let change = Attributes { set: note.change.set | new, ..note.change };
    apply(state.get(mount)?, Depth::One, change)
}

/// Covers a directory with the empty file system that hides things; returns its mount.
pub(super) fn attach_empty(state: &State<'_>, place: Slot) -> Option<RawFd> {
    let at = state.get(place)?;
    mount(c"tmpfs", &Link::new(at), c"tmpfs", 0, None)?;
    let found = state.classic.open_again(place)?;
    verify(found, at, None)?;
    apply(found, Depth::One, restriction())?;
    Some(found)
}

/// Attaches a file system that is only looked into, over the caller's `/proc`: that goes with the old
/// root.
pub(super) fn attach_for_itself(state: &mut State<'_>, mount: Slot) -> Option<()> {
    let note = state.classic.note(mount)?;
    let Source::New(system) = note.source else { return Some(()) };
    let at = open(libc::AT_FDCWD, c"/proc", libc::O_PATH, 0)?;
    mount_new(system, at)?;
    let found = open(libc::AT_FDCWD, c"/proc", libc::O_PATH, 0)?;
    verify(found, at, None)?;
    close(at);
    state.set(mount, found)?;
    state.classic.attached(mount);
    Some(())
}

/// Fails unless what was found is the new mount: that of a certain thing, or of a new file system.
fn verify(found: RawFd, place: RawFd, expected: Option<RawFd>) -> Option<()> {
    let found = stat(found)?;
    let same = match expected {
        Some(expected) => {
            let expected = stat(expected)?;
            (found.st_dev, found.st_ino) == (expected.st_dev, expected.st_ino)
        }
        None => found.st_dev != stat(place)?.st_dev,
    };
    if same { Some(()) } else { fail(libc::EXDEV) }
}

fn mount_new(system: &NewFileSystem, at: RawFd) -> Option<()> {
    let mut text = Options::new();
    let (mut flags, mut source) = (0, c"none");
    for (name, value) in &system.options {
        let flag = OPTIONS.into_iter().find(|(known, _)| *known == name.as_c_str());
        match (flag, value) {
            (Some((_, flag)), None) => flags |= flag,
            (_, Some(value)) if name.as_c_str() == c"source" => source = value.as_c_str(),
            _ => add(&mut text, name, value.as_deref())?,
        }
    }
    if mount(source, &Link::new(at), &system.kind, flags, Some(text.text())).is_some() {
        return Some(());
    }
    let failed = errno();
    let Some(path) = system.stand_in.as_ref().filter(|_| is_refused()) else {
        return fail(failed);
    };
    let Some(source) = open(libc::AT_FDCWD, path, libc::O_PATH, 0) else { return fail(failed) };
    // Without the mounts below, which could not all be made read-only.
    let done = bind(&Link::new(source), at, Depth::One);
    close(source);
    done
}

fn bind(source: &Link, at: RawFd, depth: Depth) -> Option<()> {
    let all = if depth == Depth::All { libc::MS_REC } else { 0 };
    mount(source.text(), &Link::new(at), c"", libc::MS_BIND | all, None)
}

/// Changes a mount that is attached.
pub(super) fn apply(mount: RawFd, depth: Depth, change: Attributes) -> Option<()> {
    let link = Link::new(mount);
    if change.user_namespace != 0 {
        return fail(libc::ENOSYS);
    }
    if change.set | change.clear != 0 {
        if depth == Depth::All {
            return fail(libc::ENOSYS);
        }
        let flags = flags(attributes(mount)? & !change.clear | change.set);
        self::mount(c"", &link, c"", libc::MS_REMOUNT | libc::MS_BIND | flags, None)?;
    }
    if change.propagation != 0 {
        let all = if depth == Depth::All { libc::MS_REC } else { 0 };
        self::mount(c"", &link, c"", change.propagation as c_ulong | all, None)?;
    }
    Some(())
}

/// The attributes that a mount has.
fn attributes(mount: RawFd) -> Option<u64> {
    // SAFETY: statvfs is plain data that fstatvfs fills.
    let has = unsafe {
        let mut info: libc::statvfs = std::mem::zeroed();
        ok(libc::fstatvfs(mount, &raw mut info).into())?;
        info.f_flag
    };
    // ST_NOATIME and ST_RELATIME.
    let atime = match (has & 0x400 != 0, has & 0x1000 != 0) {
        (true, _) => NO_ATIME,
        (_, true) => 0,
        _ => STRICT_ATIME,
    };
    let set = FLAGS.into_iter().filter(|(_, _, bit)| has & bit != 0);
    Some(set.fold(atime, |all, (attribute, ..)| all | attribute))
}

fn flags(attributes: u64) -> c_ulong {
    let atime = match attributes & ATIME {
        NO_ATIME => libc::MS_NOATIME,
        STRICT_ATIME => libc::MS_STRICTATIME,
        _ => libc::MS_RELATIME,
    };
    let set = FLAGS.into_iter().filter(|(attribute, ..)| attributes & attribute != 0);
    set.fold(atime, |all, (_, flag, _)| all | flag)
}

fn mount(
    source: &CStr,
    target: &Link,
    kind: &CStr,
    flags: c_ulong,
    options: Option<&CStr>,
) -> Option<()> {
    let options = options.map_or(std::ptr::null(), CStr::as_ptr);
    let (source, target, kind) = (source.as_ptr(), target.text().as_ptr(), kind.as_ptr());
    // SAFETY: every string is null-terminated and outlives the call.
    ok(unsafe { syscall(libc::SYS_mount, source, target, kind, flags, options) })
}

/// Adds an option to others. A comma in a value would begin another one.
fn add(options: &mut Options, name: &CStr, value: Option<&CStr>) -> Option<()> {
    let value = value.map(CStr::to_bytes);
    if value.is_some_and(|value| value.contains(&b',')) {
        return fail(libc::EINVAL);
    }
    let comma: &[u8] = if options.text().is_empty() { b"" } else { b"," };
    let (equals, value): (&[u8], &[u8]) = value.map_or((b"", b""), |value| (b"=", value));
    options.add(&[comma, name.to_bytes(), equals, value])
}
