//! Tapes: the files beside recipes that give layer archives back bit for bit.
//!
//! `docs/formats/tape.md` has the format.

mod play;
mod record;

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use creel_base::digest::{Digest, ObjectId};

pub(crate) use record::Recording;

use crate::error::{Result, StoreError};
use crate::recipe::digest_name;
use crate::store::Store;

/// Ending of a tape's name; before it stands the recipe's.
pub(crate) const SUFFIX: &str = ".tape";
/// First bytes of a tape: a name and the version of the format.
const MAGIC: [u8; 8] = *b"creelta\x01";
/// Last bytes of a tape.
const END: [u8; 8] = *b"creelte\x01";
/// Bytes of the part at the end: length of the records, number of contents, [`END`].
const TRAILER: usize = 24;
/// Bytes of an entry of the index: object, offset, length in the file, size.
const ENTRY: usize = 56;

/// A tape, open.
pub(crate) struct Tape {
    file: File,
    path: PathBuf,
    /// Length of the compressed records, which come right after [`MAGIC`].
    records: u64,
    /// Contents that are in the tape, as the tree has them not.
    contents: HashMap<ObjectId, Frame>,
}

/// Where a content lies in a tape, compressed.
#[derive(Clone, Copy)]
struct Frame {
    offset: u64,
    length: u64,
    size: u64,
}

/// The name of a layer's tape.
fn tape_name(diff_id: &Digest) -> String {
    format!("{}{SUFFIX}", digest_name(diff_id))
}

impl Store {
    /// Tells whether the tape of a layer is there. What is in it is for [`Store::check`].
    pub fn has_tape(&self, diff_id: &Digest) -> bool {
        matches!(self.open_tape(diff_id), Ok(Some(_)))
    }

    /// Opens the tape of a layer, in this store or an alternate; `None` when there is none.
    pub(crate) fn open_tape(&self, diff_id: &Digest) -> Result<Option<Tape>> {
        let name = tape_name(diff_id);
        match self.recipes.open_file(&name)? {
            Some(file) => Tape::open(file, self.recipes.path_of(name)).map(Some),
            None => {
                let mut alternates = self.alternates.iter();
                alternates.find_map(|store| store.open_tape(diff_id).transpose()).transpose()
            }
        }
    }
}

impl Tape {
    fn open(file: File, path: PathBuf) -> Result<Self> {
        let length = file.metadata().map_err(StoreError::io("measure", &path))?.len();
        let read = |at: u64, bytes: &mut [u8]| {
            file.read_exact_at(bytes, at).map_err(StoreError::io("read", &path))
        };
        let bad = |reason| StoreError::damaged(&path, reason);
        let body = length.checked_sub((MAGIC.len() + TRAILER) as u64);
        let body = body.ok_or_else(|| bad("too short for a tape"))?;
        let (mut magic, mut trailer) = ([0; 8], [0; TRAILER]);
        read(0, &mut magic)?;
        read(length - TRAILER as u64, &mut trailer)?;
        if magic != MAGIC || trailer.last_chunk() != Some(&END) {
            return Err(bad("not a tape of version 1"));
        }
        let (records, count) = (number(&trailer, 0), number(&trailer, 8));
        let index = count.checked_mul(ENTRY as u64);
        let index = index.filter(|index| index.checked_add(records).is_some_and(|sum| sum <= body));
        let index = index.ok_or_else(|| bad("header out of range"))?;
        let end = length - TRAILER as u64 - index;
        let mut bytes = vec![0; usize::try_from(index).map_err(|_| bad("index is too large"))?];
        read(end, &mut bytes)?;
        let mut contents = HashMap::new();
        for entry in bytes.chunks_exact(ENTRY) {
            let (object, frame) = parse_entry(entry);
            if frame.offset.checked_add(frame.length).is_none_or(|frame| frame > end) {
                return Err(bad("entry out of range"));
            }
            contents.insert(object, frame);
        }
        Ok(Self { file, path, records, contents })
    }
}

fn parse_entry(entry: &[u8]) -> (ObjectId, Frame) {
    let object = ObjectId(entry.first_chunk().copied().unwrap_or_default());
    let frame =
        Frame { offset: number(entry, 32), length: number(entry, 40), size: number(entry, 48) };
    (object, frame)
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    u64::from_le_bytes(field.copied().unwrap_or_default())
}
