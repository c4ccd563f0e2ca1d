//! The root of a plan, and its lowering.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_sys::program::{self, Attributes, Depth, Op, Slot};

use crate::error::SpawnError;
use crate::lower::Steps;
use crate::mount::NO_DEVICES;

/// What becomes the root of a process.
#[derive(Clone, Debug)]
pub enum Root {
    /// A directory of the host with the mounts below it.
    Directory {
        /// Its path.
        path: PathBuf,
        /// `MOUNT_ATTR_*` of its mount.
        attributes: u32,
    },
    /// Layers stacked by overlayfs. The mount is made in the process's own mount namespace: it
    /// never shows outside and goes with the last process.
    Overlay(Overlay),
}

impl Root {
    /// A directory on which device nodes do not work.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::Directory { path: path.into(), attributes: NO_DEVICES }
    }

    /// The directory, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        if let Self::Directory { path, .. } = self { Some(path) } else { None }
    }

    pub(crate) const fn is_directory(&self) -> bool {
        matches!(self, Self::Directory { .. })
    }
}

/// How a root becomes that of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// The old one goes away (`pivot_root(2)`).
    #[default]
    Pivot,
    /// It is moved over the old one, where that cannot go: an initial root in memory. What is below can
    /// be reached by who may unmount or knows a way; the host's own `/proc` and `/sys` are gone.
    Move,
}

impl Default for Root {
    fn default() -> Self {
        Self::directory(PathBuf::new())
    }
}

/// Layers stacked by overlayfs, at most 500 (the kernel's `OVL_MAX_STACK`).
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Host directories of the layers below, uppermost first; at least one with `mounts`.
    pub lowers: Vec<PathBuf>,
    /// Detached mounts that follow `lowers`, uppermost first: idmapped layers, see
    /// [`crate::mount::idmapped`]. At most about 100.
    pub mounts: Vec<Arc<OwnedFd>>,
    /// Where changes go; without it the root is read-only.
    pub upper: Option<Upper>,
    /// Whether overlayfs keeps its marks in `user.overlay.*` instead of `trusted.overlay.*`, as it
    /// must in a user namespace.
    pub user_xattrs: bool,
    /// `MOUNT_ATTR_*`; see [`Overlay::new`].
    pub attributes: u32,
    /// Whether the one-string option of kernels before 6.7 is used even where there is a better.
    pub classic: bool,
}

/// The writable layer: two directories of one file system.
#[derive(Clone, Debug)]
pub struct Upper {
    /// Holds the changes.
    pub upper: PathBuf,
    /// Empty; overlayfs works in it.
    pub work: PathBuf,
    /// Whether changes are never flushed to disk: for those that nobody wants after a crash.
    /// overlayfs refuses to mount such an upper directory twice unless `work/incompat/volatile` is
    /// removed.
    pub volatile: bool,
}

impl Overlay {
    /// An overlay on which device nodes do not work: what an image holds as a device must never
    /// be one. The nodes that a process needs are on its own `/dev`.
    #[must_use]
    pub fn new(lowers: Vec<PathBuf>, upper: Option<Upper>) -> Self {
        Self {
            lowers,
            mounts: Vec::new(),
            upper,
            user_xattrs: false,
            attributes: NO_DEVICES,
            classic: false,
        }
    }

    /// A directory of this process's that the overlay may cover.
    fn place(&self) -> Result<&Path, SpawnError> {
        let upper = self.upper.as_ref().map(|upper| &upper.upper);
        upper.or_else(|| self.lowers.first()).map(PathBuf::as_path).ok_or(SpawnError::NoLayer)
    }

    fn options(&self) -> Vec<(CString, Option<CString>)> {
        let off = || Some(c"off".into());
        // Redirects and metadata-only copies are neither made nor followed: a layer is then whole
        // in itself, and an image cannot point one file at another.
        let mut options = vec![
            (c"index".into(), off()),
            (c"metacopy".into(), off()),
            (c"redirect_dir".into(), Some(c"nofollow".into())),
        ];
        if self.user_xattrs {
            options.push((c"userxattr".into(), None));
        }
        if self.upper.as_ref().is_some_and(|upper| upper.volatile) {
            options.push((c"volatile".into(), None));
        }
        options
    }
}

/// Adds the steps that mount the root; the slot holds its mount.
pub(crate) fn lower_root(steps: &mut Steps, root: &Root) -> Result<Slot, SpawnError> {
    match root {
        Root::Directory { path, attributes } => lower_directory(steps, path, *attributes),
        Root::Overlay(overlay) => lower_overlay(steps, overlay),
    }
}

fn lower_directory(steps: &mut Steps, path: &Path, attributes: u32) -> Result<Slot, SpawnError> {
    let (place, root) = (steps.scratch.place, steps.slot());
    let host = encode(path)?;
    steps.add(format!("open the root `{}`", path.display()), Op::OpenHost(host, place));
    steps.add("clone the root", Op::CloneTree(place, Depth::All, root));
    if attributes != 0 {
        let set = Attributes { set: attributes.into(), ..Attributes::default() };
        steps.add("restrict the root", Op::SetAttributes(root, Depth::One, set));
    }
    steps.add("attach the root", Op::Attach(root, place));
    Ok(root)
}

fn lower_overlay(steps: &mut Steps, overlay: &Overlay) -> Result<Slot, SpawnError> {
    let (place, root) = (steps.scratch.place, steps.slot());
    let host = encode(overlay.place()?)?;
    let name = overlay.place()?.display();
    steps.add(format!("open the layer `{name}`"), Op::OpenHost(host, place));
    let give = |mount| steps.program.give(Arc::clone(mount));
    let mounts = overlay.mounts.iter().map(give).collect();
    let encode_upper = |upper: &Upper| -> Result<_, SpawnError> {
        Ok([encode(&upper.upper)?, encode(&upper.work)?])
    };
    let upper = overlay.upper.as_ref().map(encode_upper);
    let prepared = program::Overlay {
        lowers: overlay.lowers.iter().map(|path| encode(path)).collect::<Result<_, _>>()?,
        mounts,
        upper: upper.transpose()?,
        upper_in: None,
        options: overlay.options(),
        attributes: overlay.attributes,
        place,
        classic: overlay.classic,
    };
    let count = overlay.lowers.len() + overlay.mounts.len();
    steps.add(format!("stack {count} layers as the root"), Op::Overlay(prepared, root));
    Ok(root)
}

/// Adds the steps that make the mount in a slot the root.
pub(crate) fn lower_change(
    steps: &mut Steps,
    change: Change,
    path: &Path,
    root: Slot,
) -> Result<(), SpawnError> {
    if change == Change::Pivot {
        steps.add("change the root", Op::PivotRoot(root, 0));
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(SpawnError::ReadMounts)?;
    // What is mounted later is on top.
    for place in full_views(&mounts).iter().rev().filter(|place| !place.starts_with(path)) {
        steps.add(format!("take away `{}`", place.display()), Op::Uncover(encode(place)?));
    }
    steps.add("move the root", Op::MoveRoot(root));
    Ok(())
}

/// Where whole procfs and sysfs are mounted (`proc_pid_mountinfo(5)`). A namespace in which one is
/// without covers lets its root mount another (`mount_too_revealing` of the kernel).
fn full_views(mountinfo: &str) -> Vec<PathBuf> {
    let place = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let whole = root == "/" && matches!(after.split(' ').next()?, "proc" | "sysfs");
        whole.then(|| unescape(place))
    };
    mountinfo.lines().filter_map(place).collect()
}

/// Blanks and the like are three octal digits behind a backslash.
fn unescape(text: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

pub(crate) fn encode(path: &Path) -> Result<CString, SpawnError> {
    Ok(CString::new(path.as_os_str().as_encoded_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_views_of_the_kernel_are_found() {
        let text = "1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / /proc rw - proc proc rw\n\
                    3 1 0:3 / /a\\040b/sys ro shared:1 - sysfs none rw\n\
                    4 1 0:2 /sys /x rw - proc proc rw\n";
        assert_eq!(full_views(text), [PathBuf::from("/proc"), PathBuf::from("/a b/sys")]);
    }
}
