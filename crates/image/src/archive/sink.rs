//! Writing an image into an archive: `oci-archive:`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use creel_base::atomic::{Durability, NewFile};
use creel_base::digest::{Digest, ObjectId};
use creel_base::path::{Dir, IfExists, Mode, PathError};
use creel_codec::layer::{END, member, padding};
use creel_codec::tree::{Entry, Kind, Meta, Tree};

use super::ArchiveError;
use crate::document::{Descriptor, Document};
use crate::layout::{blob_path, index_of, marker};
use crate::source::{ImageSink, VerifyReader};

/// An archive that becomes visible when the image is whole, in place of what was there.
#[derive(Debug)]
pub struct ArchiveSink<'a> {
    state: Mutex<State<'a>>,
    file_name: &'a Path,
    name: Option<String>,
}

#[derive(Debug)]
struct State<'a> {
    /// `None` once it is published.
    file: Option<NewFile<'a>>,
    written: BTreeSet<Digest>,
}

impl<'a> ArchiveSink<'a> {
    /// Starts an archive in a directory, for one image with a name or none.
    ///
    /// # Errors
    /// [`ArchiveError::Path`].
    pub fn new(
        dir: &'a Dir,
        file_name: &'a Path,
        name: Option<String>,
    ) -> Result<Self, ArchiveError> {
        let file = NewFile::begin(dir, Mode::from_raw_mode(0o644))?;
        let state = Mutex::new(State { file: Some(file), written: BTreeSet::new() });
        Ok(Self { state, file_name, name })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<'a>> {
        // After a panic the archive is never published.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<'_> {
    fn put(&mut self, path: &Path, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::Unsupported.into()) };
        let out = file.file();
        out.write_all(&header(path, size)?)?;
        let copied = io::copy(&mut content.take(size), out)?;
        if copied != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.write_all(END.get(..padding(size)).unwrap_or_default())
    }
}

/// The header of a file of root's from the start of 1970: the same image gives the same archive.
fn header(path: &Path, size: u64) -> io::Result<Vec<u8>> {
    let path = path.as_os_str().as_encoded_bytes().into();
    let meta = Meta { mode: 0o644, ..Meta::default() };
    let entry = Entry { path, meta, kind: Kind::File { size, object: ObjectId::default() } };
    member(&Tree { entries: vec![entry] }, 0).map_err(io::Error::other)
}

impl ImageSink for ArchiveSink<'_> {
    type Error = ArchiveError;

    fn has_blob(&self, descriptor: &Descriptor) -> Result<bool, ArchiveError> {
        Ok(self.lock().written.contains(&descriptor.digest))
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let mut state = self.lock();
        let mut content = VerifyReader::new(content, descriptor);
        state
            .put(&blob_path(&descriptor.digest), descriptor.size, &mut content)
            // Only the end tells whether it was the blob.
            .and_then(|()| io::copy(&mut content, &mut io::sink()).map(drop))
            .map_err(|source| ArchiveError::Write { source })?;
        state.written.insert(descriptor.digest);
        Ok(())
    }

    fn finish(&self, root: &Document) -> Result<(), ArchiveError> {
        let entry = root.descriptor();
        if !self.has_blob(&entry)? {
            self.put_blob(&entry, &mut root.raw())?;
        }
        let mut state = self.lock();
        let index = index_of(entry, self.name.as_deref());
        let files = BTreeMap::from([("index.json", index), ("oci-layout", marker())]);
        for (name, content) in files {
            let content = content.map_err(|source| ArchiveError::Manifest { source })?;
            state
                .put(Path::new(name), content.len() as u64, &mut content.as_slice())
                .map_err(|source| ArchiveError::Write { source })?;
        }
        let Some(mut file) = state.file.take() else { return Ok(()) };
        file.file().write_all(&END).map_err(|source| ArchiveError::Write { source })?;
        Ok(file.publish(self.file_name, IfExists::Replace, Durability::Power)?)
    }
}

impl From<PathError> for ArchiveError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}
