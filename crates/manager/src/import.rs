//! Making an image of a root file system.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use creel_base::hint::Hint;
use creel_base::media_type::{Compression, Layer as LayerType, MediaType};
use creel_base::path::{Action, Dir, PathError};
use creel_base::platform::Platform;
use creel_base::reference::Reference;
use creel_image::change::{self, ChangeError};
use creel_image::document::{Descriptor, DocumentError, History};
use creel_image::edit::Draft;
use creel_store::{Origin, StoreError, Transaction};
use jiff::Timestamp;

use crate::Engine;
use crate::counter::Counter;
use crate::images::{Image, ImageError};
use crate::pull::UnpackError;
use crate::pull::unpack::unpack;

/// What an imported image is besides its files.
#[derive(Clone, Debug)]
pub struct Import {
    /// What the image runs on.
    pub platform: Platform,
    /// Instructions such as `CMD ["/bin/sh"]`, in order.
    pub changes: Vec<String>,
    /// A remark for the image's history.
    pub message: Option<String>,
    /// When the image was made.
    pub created: Timestamp,
}

/// Why an image is not made.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A change is refused.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The archive cannot be opened.
    #[error(transparent)]
    Open(#[from] PathError),
    /// The root file system cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// What was made is no image.
    #[error("cannot write the image's documents")]
    Document(#[source] DocumentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image cannot be read back.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Hint for ImportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Change(source) => source.hint(),
            Self::Open(source) => source.hint(),
            Self::Unpack(source) => source.hint(),
            Self::Document(source) => source.hint(),
            Self::Store(source) => source.hint(),
            Self::Image(source) => source.hint(),
        }
    }
}

impl Import {
    fn history(&self) -> History {
        let created = Some(self.created.to_string());
        History { created, comment: self.message.clone(), ..History::default() }
    }
}

impl Engine {
    /// Makes an image of a tar in a file, as [`Engine::import`] does.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import_file(
        &self,
        path: &Path,
        what: &Import,
        name: Option<&Reference>,
    ) -> Result<Image, ImportError> {
        let failed = |source| PathError::new(Action::OpenFile, path, source);
        let mut file = File::open(path).map_err(failed)?;
        self.import(&mut file, what, name)
    }

    /// Makes an image with one layer of a tar, plain or compressed, and gives it a name or none.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import(
        &self,
        tar: &mut (dyn Read + Send),
        what: &Import,
        name: Option<&Reference>,
    ) -> Result<Image, ImportError> {
        let mut draft = self.draft(what)?;
        let transaction = self.store.begin()?;
        let unpacked = unpack(&transaction, self.owners(), tar, None, &[])?;
        let diff_id = unpacked.layer.diff_id;
        let kind = MediaType::Layer(LayerType::oci(Compression::None));
        draft.push(Descriptor::new(kind, diff_id, unpacked.size), diff_id, what.history());
        self.publish(transaction, draft, name)
    }

    /// Makes an image with one layer of what is in a directory, and gives it a name or none.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import_directory(
        &self,
        path: &Path,
        what: &Import,
        name: Option<&Reference>,
    ) -> Result<Image, ImportError> {
        let mut draft = self.draft(what)?;
        let transaction = self.store.begin()?;
        let directory = Dir::open(path)?;
        let (tree, _) = transaction.snapshot(&directory, Origin::Directory, self.owners())?;
        let mut size = Counter::default();
        let diff_id = self.store.write_layer(&tree, &mut size)?;
        transaction.record_layer(&diff_id, tree, &[])?;
        let kind = MediaType::Layer(LayerType::oci(Compression::None));
        draft.push(Descriptor::new(kind, diff_id, size.bytes()), diff_id, what.history());
        self.publish(transaction, draft, name)
    }

    /// An image without layers.
    fn draft(&self, what: &Import) -> Result<Draft, ImportError> {
        let mut draft = Draft::new(&what.platform);
        for line in &what.changes {
            change::apply(&mut draft.config.config, line)?;
        }
        draft.config.created = Some(what.created.to_string());
        Ok(draft)
    }

    /// Stores what makes an image of layers that are in the store, and gives it a name or none.
    ///
    /// # Errors
    /// [`ImportError`].
    pub(crate) fn publish(
        &self,
        transaction: Transaction<'_>,
        draft: Draft,
        name: Option<&Reference>,
    ) -> Result<Image, ImportError> {
        transaction.stack(&draft.config.rootfs.diff_ids)?;
        let (config, manifest) = draft.finish().map_err(ImportError::Document)?;
        let digest = manifest.descriptor().digest;
        transaction.put_blob(&config.digest(), config.raw())?;
        transaction.put_blob(&digest, manifest.raw())?;
        let name_text = name.map(ToString::to_string);
        let references: Vec<_> = name_text.iter().map(|name| (name.as_bytes(), digest)).collect();
        transaction.commit(&references)?;
        Ok(self.load(digest, name.cloned().into_iter().collect())?)
    }
}
