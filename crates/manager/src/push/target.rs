//! Where a push goes to.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;

use creel_base::digest::Digest;
use creel_base::media_type::{self, Layer, MediaType};
use creel_codec::compress::{self, sniff};
use creel_image::archive::{ArchiveError, ArchiveSink};
use creel_image::document::{Descriptor, Document};
use creel_image::layout::{LayoutError, LayoutSink};
use creel_image::source::ImageSink;
use creel_registry::Repository;
use creel_registry::client::Pushed;

use super::PushError;
use crate::progress::Transfer;

/// A blob that is to be written: a file, or bytes.
pub(super) enum Content<'a> {
    File(&'a File),
    Bytes(&'a [u8]),
}

impl Content<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::File(file) => {
                let mut file = File::from(file.as_fd().try_clone_to_owned()?);
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes.to_vec())),
        })
    }
}

/// Something an image is pushed to. Several threads may push layers at once.
pub(super) trait Target: Sync {
    /// Looks whether a layer is there, or can be had without sending it: as described, or in a
    /// compressed form by which it is known.
    fn find(
        &self,
        layer: &Descriptor,
        known: &[Digest],
    ) -> Result<Option<(Descriptor, Transfer)>, PushError>;

    /// Writes a blob.
    fn put(&self, blob: &Descriptor, content: &Content<'_>) -> Result<Transfer, PushError>;

    /// Writes the manifest and makes the image visible.
    fn finish(&self, root: &Document) -> Result<(), PushError>;
}

/// A layout or an archive.
pub(super) struct Local<S>(pub(super) S);

impl<S: ImageSink> Target for Local<S>
where
    PushError: From<S::Error>,
{
    fn find(
        &self,
        layer: &Descriptor,
        _: &[Digest],
    ) -> Result<Option<(Descriptor, Transfer)>, PushError> {
        Ok(self.0.has_blob(layer)?.then(|| (layer.clone(), Transfer::Known)))
    }

    fn put(&self, blob: &Descriptor, content: &Content<'_>) -> Result<Transfer, PushError> {
        let failed = |source| PushError::Compress { diff_id: blob.digest.into(), source };
        self.0.put_blob(blob, &mut content.open().map_err(failed)?)?;
        Ok(Transfer::Done)
    }

    fn finish(&self, root: &Document) -> Result<(), PushError> {
        Ok(self.0.finish(root)?)
    }
}

impl From<LayoutError> for PushError {
    fn from(error: LayoutError) -> Self {
        Self::Layout(Box::new(error))
    }
}

impl From<ArchiveError> for PushError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(Box::new(error))
    }
}

/// The sinks that there are.
pub(super) type ToLayout = Local<LayoutSink>;
pub(super) type ToArchive<'a> = Local<ArchiveSink<'a>>;

/// A repository at a registry.
pub(super) struct Remote {
    pub(super) repository: Repository,
    /// What the manifest is put under: a tag or a digest.
    pub(super) selector: String,
    /// Other repositories of the registry that may have the image's layers.
    pub(super) siblings: Vec<String>,
}

impl Remote {
    fn failed(&self) -> impl Fn(creel_registry::Error) -> PushError {
        let name =
            format!("{}/{}:{}", self.repository.registry(), self.repository.name(), self.selector);
        move |source| PushError::Registry { name: name.clone(), source: Box::new(source) }
    }

    /// Has a blob taken from another repository. A registry that refuses is sent it.
    fn mount(&self, digest: Digest) -> bool {
        let mut siblings = self.siblings.iter();
        siblings.any(|from| self.repository.mount_blob(digest, from).is_ok_and(|mounted| mounted))
    }

    /// Describes a layer that is there in another compressed form than the image's manifest says.
    fn describe(&self, like: &Descriptor, digest: Digest) -> Result<Option<Descriptor>, PushError> {
        let Some(size) = self.repository.blob_size(digest).map_err(self.failed())? else {
            return Ok(None);
        };
        let blob = self.repository.blob(digest, size, 0).map_err(self.failed())?;
        let mut start = Vec::new();
        if blob.take(4).read_to_end(&mut start).is_err() {
            return Ok(None);
        }
        Ok(Some(Descriptor::new(layer_type(like, sniff(&start)), digest, size)))
    }
}

impl Target for Remote {
    fn find(
        &self,
        layer: &Descriptor,
        known: &[Digest],
    ) -> Result<Option<(Descriptor, Transfer)>, PushError> {
        if self.repository.has_blob(layer.digest).map_err(self.failed())? {
            return Ok(Some((layer.clone(), Transfer::Known)));
        }
        for digest in known.iter().filter(|digest| **digest != layer.digest) {
            if let Some(found) = self.describe(layer, *digest)? {
                return Ok(Some((found, Transfer::Known)));
            }
        }
        let others = known.iter().copied().filter(|digest| *digest != layer.digest);
        for digest in [layer.digest].into_iter().chain(others) {
            if !self.mount(digest) {
                continue;
            }
            let mounted = match digest == layer.digest {
                true => Some(layer.clone()),
                false => self.describe(layer, digest)?,
            };
            return Ok(mounted.map(|mounted| (mounted, Transfer::Mounted)));
        }
        Ok(None)
    }

    fn put(&self, blob: &Descriptor, content: &Content<'_>) -> Result<Transfer, PushError> {
        let open = || content.open();
        let pushed = self.repository.push_blob(blob.digest, blob.size, None, &open);
        Ok(match pushed.map_err(self.failed())? {
            Pushed::Present => Transfer::Known,
            Pushed::Mounted => Transfer::Mounted,
            Pushed::Sent => Transfer::Done,
        })
    }

    fn finish(&self, root: &Document) -> Result<(), PushError> {
        let kind = root.descriptor().media_type;
        self.repository.put_manifest(&self.selector, &kind, root.raw()).map_err(self.failed())
    }
}

/// The type of a layer in the words of another layer's family.
pub(super) fn layer_type(like: &Descriptor, compression: compress::Compression) -> MediaType {
    let compression = match compression {
        compress::Compression::Plain => media_type::Compression::None,
        compress::Compression::Gzip => media_type::Compression::Gzip,
        compress::Compression::Zstd => media_type::Compression::Zstd,
    };
    MediaType::Layer(match &like.media_type {
        MediaType::Layer(layer) => Layer { compression, ..*layer },
        _ => Layer::oci(compression),
    })
}
