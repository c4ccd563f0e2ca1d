//! Extended attributes of files that are scanned.

use std::borrow::Cow;
use std::os::fd::BorrowedFd;

use creel_codec::erofs::OverlayMarks;
use creel_codec::layer::LayerSink;
use creel_codec::tree::{MAX_XATTR_VALUE_BYTES, Xattr};
use rustix::io::Errno;

use super::{Origin, Scan, proc_path};
use crate::checkout::Owners;
use crate::error::{Result, StoreError};

/// Longest list of names (Linux `XATTR_LIST_MAX`).
const LIST: usize = 65536;

/// What the attributes of a file say.
pub(super) struct Attributes {
    /// Those that a tree keeps, in its order.
    pub(super) xattrs: Vec<Xattr>,
    /// The mark of an opaque directory is there.
    pub(super) opaque: bool,
}

impl<S: LayerSink<Error = StoreError>> Scan<'_, S> {
    /// Reads the attributes of what is open, by its name in `/proc`: fgetxattr(2) refuses O_PATH.
    pub(super) fn attributes(&mut self, fd: BorrowedFd<'_>, path: &[u8]) -> Result<Attributes> {
        let file = proc_path(fd);
        let mut found = Attributes { xattrs: Vec::new(), opaque: false };
        self.buffer.resize(LIST, 0);
        let length = match rustix::fs::listxattr(&file, &mut self.buffer[..]) {
            Ok(length) => length,
            Err(Errno::OPNOTSUPP) => 0,
            Err(errno) => return Err(self.failed("list attributes of", path)(errno)),
        };
        if length == 0 {
            return Ok(found);
        }
        let names = self.buffer.get(..length).unwrap_or_default().to_vec();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            if let Some(mark) = self.mark(name) {
                found.opaque |= self.read_mark(&file, mark, name, path)?;
            } else if is_kept(name)
                && let Some(value) = self.value(&file, name, path)?
                && let Some(value) = self.inside(name, value)
            {
                found.xattrs.push(Xattr { name: name.into(), value: value.into() });
            }
        }
        found.xattrs.sort_unstable();
        Ok(found)
    }

    /// What an attribute of overlayfs is, without its prefix.
    fn mark<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        match self.origin {
            Origin::Directory => None,
            Origin::Upper(OverlayMarks::Trusted) => name.strip_prefix(b"trusted.overlay."),
            Origin::Upper(OverlayMarks::User) => name.strip_prefix(b"user.overlay."),
        }
    }

    /// Tells whether a mark says that its directory is opaque.
    fn read_mark(&mut self, file: &str, mark: &[u8], name: &[u8], path: &[u8]) -> Result<bool> {
        match mark {
            b"opaque" => Ok(self.value(file, name, path)?.is_some_and(|value| value == b"y")),
            b"redirect" => Err(self.refuse(path, "it is a directory that `redirect_dir` renamed")),
            b"metacopy" => Err(self.refuse(path, "its content is in a lower layer (`metacopy`)")),
            _ => Ok(false),
        }
    }

    /// An attribute's value as the tree has it; `None` where it means nothing there.
    fn inside(&self, name: &[u8], value: Vec<u8>) -> Option<Vec<u8>> {
        match self.owners {
            Owners::Mapped(ids) => ids.attribute_inside(name, &value).map(Cow::into_owned),
            Owners::AsInTree | Owners::Caller => Some(value),
        }
    }

    /// The value of an attribute; `None` where it has gone meanwhile.
    fn value(&mut self, file: &str, name: &[u8], path: &[u8]) -> Result<Option<Vec<u8>>> {
        self.buffer.resize(MAX_XATTR_VALUE_BYTES, 0);
        match rustix::fs::getxattr(file, name, &mut self.buffer[..]) {
            Ok(length) => Ok(Some(self.buffer.get(..length).unwrap_or_default().to_vec())),
            Err(Errno::NODATA) => Ok(None),
            Err(errno) => Err(self.failed("read attributes of", path)(errno)),
        }
    }
}

/// Tells whether an attribute is the file's own. Those of security modules are the host's.
fn is_kept(name: &[u8]) -> bool {
    const FOREIGN: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"trusted.erofs."];
    const WHOLE: [&[u8]; 3] =
        [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];
    let free = name.starts_with(b"user.") || name.starts_with(b"trusted.");
    WHOLE.contains(&name) || free && !FOREIGN.iter().any(|prefix| name.starts_with(prefix))
}
