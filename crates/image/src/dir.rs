//! `dir:`: one image as plain files in a directory, as other tools write it for inspection.
//!
//! Source: containers-transports(5). `manifest.json` is the document that was asked for, blobs are
//! called by the hex digits of their digest, manifests below an index `HEX.manifest.json`.

use std::io::Read;
use std::path::{Path, PathBuf};

use creel_base::digest::{Algorithm, Digest};
use creel_base::hint::Hint;
use creel_base::path::{Dir, PathError};

use crate::document::{
    Descriptor, Document, DocumentError, Expected, MAX_MANIFEST, read as read_document,
};
use crate::source::{ImageSource, VerifyReader};

const ROOT: &str = "manifest.json";

/// An image in a directory.
#[derive(Debug)]
pub struct DirImage {
    dir: Dir,
}

/// Why an image cannot be read from a directory.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// A file operation failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// There is no `manifest.json`.
    #[error("`{}` is no image directory: it has no `{ROOT}`", path.display())]
    NoImage {
        /// The directory.
        path: PathBuf,
    },
    /// A manifest or index is refused.
    #[error("cannot read `{file}`")]
    Document {
        /// The file within the directory.
        file: String,
        /// Why.
        source: DocumentError,
    },
}

impl Hint for DirError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Document { source, .. } => source.hint(),
            _ => None,
        }
    }
}

impl DirImage {
    /// Opens an image by a trusted path.
    ///
    /// # Errors
    /// [`DirError`] where there is no `manifest.json`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DirError> {
        let dir = Dir::open(path)?;
        if dir.exists(ROOT)? {
            Ok(Self { dir })
        } else {
            Err(DirError::NoImage { path: dir.path().to_owned() })
        }
    }

    fn read(&self, file: String, expected: &Expected) -> Result<Document, DirError> {
        let raw = self.dir.read(&file, MAX_MANIFEST)?;
        read_document(raw, expected).map_err(|source| DirError::Document { file, source })
    }
}

impl ImageSource for DirImage {
    type Error = DirError;

    fn root(&self) -> Result<Document, DirError> {
        self.read(ROOT.to_owned(), &Expected::default())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, DirError> {
        let file = format!("{}.manifest.json", name(&descriptor.digest));
        self.read(file, &Expected::from(descriptor))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send + '_>, DirError> {
        let file = self.dir.open_file(name(&descriptor.digest))?;
        Ok(Box::new(VerifyReader::new(file, descriptor)))
    }
}

/// Only sha256 goes without its name.
fn name(digest: &Digest) -> String {
    match digest.algorithm() {
        Algorithm::Sha256 => digest.hex(),
        Algorithm::Sha512 => format!("sha512-{}", digest.hex()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use creel_base::media_type::{Family, MediaType};
    use std::fs;

    #[test]
    fn reads_an_image() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        assert!(matches!(DirImage::open(path), Err(DirError::NoImage { .. })));
        let layer = Descriptor::of(MediaType::Empty, b"abc");
        let manifest = serde_json::json!({ "schemaVersion": 2, "config": layer, "layers": [] });
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let child = Descriptor::of(MediaType::Manifest(Family::Oci), &manifest);
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": [child] });
        fs::write(path.join(ROOT), index.to_string()).unwrap();
        fs::write(path.join(layer.digest.hex()), b"abc").unwrap();
        fs::write(path.join(format!("{}.manifest.json", child.digest.hex())), &manifest).unwrap();

        let image = DirImage::open(path).unwrap();
        assert!(matches!(image.root(), Ok(Document::Index(_))));
        assert_eq!(image.document(&child).unwrap().raw(), manifest);
        let read = || {
            let mut content = Vec::new();
            image.blob(&layer).unwrap().read_to_end(&mut content).map(|_| content)
        };
        assert_eq!(read().unwrap(), b"abc");
        fs::write(path.join(layer.digest.hex()), b"abd").unwrap();
        assert!(read().is_err());
    }
}
