//! One entry of an archive: a header with what extends it.

use super::LayerError;
use super::header::{Format, Header, text};
use super::pax::{self, Pax};
use super::sparse::SparseMap;
use crate::tree::{Kind, MAX_SYMLINK_BYTES, Meta};

/// Extensions that wait for the entry they extend.
#[derive(Default)]
pub(super) struct Pending {
    pax: Option<Pax>,
    gnu_name: Option<Vec<u8>>,
    gnu_link: Option<Vec<u8>>,
}

/// Content of an entry.
pub(super) enum Body {
    /// Not part of the file system (a volume's label).
    Ignored,
    Inode(Kind),
    /// A further name of this one.
    Link(Vec<u8>),
    File {
        size: u64,
        stored: u64,
        sparse: Sparse,
    },
}

/// Where a file's sparse map is.
pub(super) enum Sparse {
    No,
    /// In PAX records.
    Records(SparseMap),
    /// In the header and blocks after it.
    Header,
    /// In text before the data.
    Text,
}

/// An entry as the archive has it.
pub(super) struct Member {
    pub(super) path: Vec<u8>,
    pub(super) meta: Meta,
    pub(super) body: Body,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.gnu_name.is_none() && self.gnu_link.is_none()
    }

    /// Tells whether an extension of this type may follow those that wait.
    ///
    /// Readers do not agree on what PAX and GNU extensions of one entry mean together, nor on
    /// whether the first makes the second longer: archives hide entries that way.
    pub(super) fn may_add(&self, kind: u8) -> Result<(), &'static str> {
        let gnu = self.gnu_name.is_some() || self.gnu_link.is_some();
        match kind {
            _ if self.pax.is_some() && kind != b'x' => Err("extension of an extension"),
            b'x' | b'g' if gnu => Err("PAX and GNU extensions together"),
            b'x' if self.pax.is_some() => Err("two extended headers for one entry"),
            b'L' if self.gnu_name.is_some() => Err("two long names for one entry"),
            b'K' if self.gnu_link.is_some() => Err("two long link names for one entry"),
            _ => Ok(()),
        }
    }

    /// Adds a complete extension.
    pub(super) fn add(&mut self, kind: u8, data: &[u8], global: &Pax) -> Result<(), &'static str> {
        if kind == b'x' {
            self.pax = Some(Pax::parse(data, global)?);
            return Ok(());
        }
        let name = text(data);
        if name.is_empty() || data.iter().skip(name.len()).any(|byte| *byte != 0) {
            return Err("long name is empty or holds a NUL");
        }
        let to = if kind == b'L' { &mut self.gnu_name } else { &mut self.gnu_link };
        *to = Some(name.to_vec());
        Ok(())
    }
}

impl Member {
    /// Puts an entry together.
    pub(super) fn new(
        header: Header<'_>,
        pending: Pending,
        global: &Pax,
    ) -> Result<Self, LayerError> {
        let mut pax = pending.pax.unwrap_or_else(|| global.clone());
        let path = pax.sparse.name.take().or_else(|| pax.path.take()).or(pending.gnu_name);
        let path = path.unwrap_or_else(|| header.name());
        let link = pax.link.take().or(pending.gnu_link).unwrap_or_else(|| header.link().to_vec());
        let stored = stored_size(header, &pax, &path)?;
        let kind = match header.kind() {
            // Tars older than POSIX have no type for directories.
            0 | b'0' if path.ends_with(b"/") => b'5',
            kind => kind,
        };
        let body = body(header, kind, &pax, stored, link, &path)?;
        let meta = meta(header, pax, &path)?;
        Ok(Self { path, meta, body })
    }
}

fn field(path: &[u8], field: &'static str) -> LayerError {
    LayerError::Field { path: path.into(), field }
}

/// Returns how many bytes follow the header: what PAX says, which the header may only leave out.
fn stored_size(header: Header<'_>, pax: &Pax, path: &[u8]) -> Result<u64, LayerError> {
    /// From here on the field has no room for the size, and writers put anything there.
    const FULL: u64 = 1 << 33;
    let size = header.size();
    match pax.size {
        None => size.ok_or_else(|| field(path, "size")),
        Some(stated) if stated < FULL && size.is_some_and(|size| size != 0 && size != stated) => {
            Err(field(path, "size: the header and its extension differ"))
        }
        Some(stated) => Ok(stated),
    }
}

fn meta(header: Header<'_>, pax: Pax, path: &[u8]) -> Result<Meta, LayerError> {
    let id = |stated: Option<u64>, in_header: Option<u64>, what| {
        let id = stated.or(in_header).and_then(|id| u32::try_from(id).ok());
        // chown(2) takes the largest number for "leave as it is".
        id.filter(|id| *id != u32::MAX).ok_or_else(|| field(path, what))
    };
    let (mtime_s, mtime_ns) = pax
        .mtime
        .or_else(|| Some((header.mtime()?, 0)))
        .ok_or_else(|| field(path, "modification time"))?;
    let mode = header.mode().ok_or_else(|| field(path, "mode"))? & 0o7777;
    Ok(Meta {
        mode: u16::try_from(mode).map_err(|_| field(path, "mode"))?,
        uid: id(pax.uid, header.uid(), "owner")?,
        gid: id(pax.gid, header.gid(), "group")?,
        mtime_s,
        mtime_ns,
        xattrs: pax::into_xattrs(pax.xattrs),
    })
}

fn body(
    header: Header<'_>,
    kind: u8,
    pax: &Pax,
    stored: u64,
    link: Vec<u8>,
    path: &[u8],
) -> Result<Body, LayerError> {
    let sparse = pax.sparse != pax::SparseRecords::default();
    if matches!(kind, 0 | b'0' | b'7') || kind == b'S' && !sparse {
        return file(header, kind, pax, stored, path);
    }
    let refuse = |what| Err(LayerError::Entry { path: path.into(), what });
    let unsupported = |what| Err(LayerError::Unsupported { path: path.into(), what });
    if matches!(kind, b'1'..=b'6' | b'V') && (stored != 0 || sparse) {
        // Some readers skip this many bytes and some do not.
        return refuse("it has content, which its type has not");
    }
    let device = || header.device().ok_or_else(|| field(path, "device number"));
    Ok(Body::Inode(match kind {
        b'1' => return Ok(Body::Link(link)),
        b'2' if link.is_empty() || link.len() > MAX_SYMLINK_BYTES || link.contains(&0) => {
            return refuse("the target of the symbolic link is not valid");
        }
        b'2' => Kind::Symlink { target: link.into() },
        b'3' => match device()? {
            (0, 0) => return refuse("character device 0:0, which overlayfs takes for a whiteout"),
            (major, minor) => Kind::CharDevice { major, minor },
        },
        b'4' => {
            let (major, minor) = device()?;
            Kind::BlockDevice { major, minor }
        }
        b'5' => Kind::Directory { opaque: false, implied: false },
        b'6' => Kind::Fifo,
        b'V' => return Ok(Body::Ignored),
        b'M' => return unsupported("part of a file of another volume"),
        b'D' => return unsupported("directory of an incremental backup"),
        _ => return unsupported("unknown type"),
    }))
}

fn file(
    header: Header<'_>,
    kind: u8,
    pax: &Pax,
    stored: u64,
    path: &[u8],
) -> Result<Body, LayerError> {
    let wrong = |what| LayerError::Unsupported { path: path.into(), what };
    let records = &pax.sparse;
    if kind == b'S' {
        if header.format() != Format::Gnu {
            return Err(wrong("sparse file without the magic of GNU tar"));
        }
        let size = super::header::number(header.bytes(483, 12));
        let size = size.ok_or_else(|| field(path, "size of a sparse file"))?;
        return Ok(Body::File { size, stored, sparse: Sparse::Header });
    }
    if *records == pax::SparseRecords::default() {
        return Ok(Body::File { size: stored, stored, sparse: Sparse::No });
    }
    let size = records.size.ok_or_else(|| field(path, "size of a sparse file"))?;
    let sparse = match records.version {
        (Some(1), Some(0)) if records.map.is_empty() => Sparse::Text,
        (None | Some(0), None | Some(0 | 1)) => Sparse::Records(SparseMap(records.map.clone())),
        _ => return Err(wrong("version of the sparse format")),
    };
    Ok(Body::File { size, stored, sparse })
}
