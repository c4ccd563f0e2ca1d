//! Giving the files of a directory their metadata.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use creel_base::path::Dir;
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Entry, Kind};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Owners;
use super::writer::{Purpose, Writer, refuse};
use crate::error::{Result, StoreError};

impl Writer<'_> {
    /// Gives an entry its metadata. The owner comes first: a change of owner clears the set-id bits
    /// and the capabilities.
    pub(super) fn finish(&self, dir: &Dir, name: &[u8], entry: &Entry) -> Result<()> {
        let name = OsStr::from_bytes(name);
        let path = dir.path().join(name);
        let failed = |action| {
            let path = &path;
            move |errno: Errno| StoreError::io(action, path)(errno.into())
        };
        let meta = &entry.meta;
        if self.owners != Owners::Caller {
            self.set_owner(dir, name, entry)?;
        }
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            let mode = Mode::from_raw_mode(u32::from(meta.mode));
            rustix::fs::chmodat(dir, name, mode, AtFlags::empty())
                .map_err(failed("set mode of"))?;
        }
        self.set_xattrs(dir, name, entry)?;
        let time = Timespec { tv_sec: meta.mtime_s, tv_nsec: meta.mtime_ns.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("set time of"))
    }

    fn set_owner(&self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<()> {
        let (uid, gid) = (entry.meta.uid, entry.meta.gid);
        if uid == u32::MAX || gid == u32::MAX {
            return Err(refuse(dir, name, "its owner is no valid id"));
        }
        let not_mapped = || StoreError::NotMapped { path: dir.path().join(name), uid, gid };
        let (user, group) = match self.owners {
            Owners::Mapped(ids) => ids.outside(uid, gid).ok_or_else(not_mapped)?,
            Owners::AsInTree | Owners::Caller => (uid, gid),
        };
        let owner = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        match rustix::fs::chownat(dir, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) => Ok(()),
            // The id is not mapped (user_namespaces(7)).
            Err(Errno::INVAL) => Err(not_mapped()),
            Err(errno) => Err(StoreError::io("set owner of", &dir.path().join(name))(errno.into())),
        }
    }

    fn set_xattrs(&self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<()> {
        let marks: &[u8] = match self.overlay {
            OverlayMarks::Trusted => b"trusted.overlay.",
            OverlayMarks::User => b"user.overlay.",
        };
        // No call sets attributes relative to a directory before setxattrat of Linux 6.13.
        let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())).join(name);
        let set = |attribute: &[u8], value: &[u8]| {
            rustix::fs::lsetxattr(&path, attribute, value, XattrFlags::empty())
        };
        let failed = |errno: Errno| {
            StoreError::io("set attributes of", &dir.path().join(name))(errno.into())
        };
        for xattr in &entry.meta.xattrs {
            if xattr.name.starts_with(marks) {
                return Err(refuse(dir, name, "it has an attribute of overlayfs"));
            }
            let value = match self.owners {
                Owners::Mapped(ids) => ids.attribute_outside(&xattr.name, &xattr.value),
                Owners::AsInTree | Owners::Caller => Some(Cow::Borrowed(&*xattr.value)),
            };
            // What is for ids that are not there is for nobody.
            let Some(value) = value else { continue };
            let optional = self.purpose == Purpose::Layer && !is_portable(&xattr.name, &entry.kind);
            match set(&xattr.name, &value) {
                Err(Errno::PERM) if optional => {}
                result => result.map_err(failed)?,
            }
        }
        match entry.kind {
            Kind::Directory { opaque: true, .. } => {
                set(&[marks, b"opaque"].concat(), b"y").map_err(failed)
            }
            _ => Ok(()),
        }
    }
}

/// Tells whether an attribute can be set and seen in every user namespace.
pub(crate) fn is_portable(name: &[u8], kind: &Kind) -> bool {
    const WHOLE: [&[u8]; 3] =
        [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];
    // xattr(7): user attributes are for files and directories only.
    let user = matches!(kind, Kind::File { .. } | Kind::Directory { .. });
    user && name.starts_with(b"user.") || WHOLE.contains(&name)
}
