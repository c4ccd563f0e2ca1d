//! Why an archive cannot be read.

use std::io;
use std::path::PathBuf;

use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_base::transport::Select;
use creel_codec::compress::DecodeError;
use creel_codec::layer::LayerError;

use crate::document::DocumentError;

/// Why an archive, or an image in it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Open {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An archive that comes compressed or as a stream cannot be written out.
    #[error("cannot write the archive out")]
    Spool {
        /// Why.
        source: io::Error,
    },
    /// A file operation failed.
    #[error(transparent)]
    Path(PathError),
    /// The archive cannot be written, or a blob is not the one described.
    #[error("cannot write the archive")]
    Write {
        /// Why.
        source: io::Error,
    },
    /// The file is no tar, or one that is refused.
    #[error("`{}` is refused", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: LayerError,
    },
    /// A file is not there, or is none.
    #[error("archive has no file `{name}`")]
    NoFile {
        /// Its name, cut to 256 characters.
        name: String,
    },
    /// A document is larger than any may be.
    #[error("`{name}` in the archive has more than {limit} bytes")]
    TooLarge {
        /// The file.
        name: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// `manifest.json` is malformed.
    #[error("cannot read `manifest.json` of the archive")]
    Manifest {
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The image is refused.
    #[error("image in the archive is refused")]
    Document {
        /// Why.
        source: DocumentError,
    },
    /// There is no such image.
    #[error("archive has no image {}", described(select))]
    NoImage {
        /// What was asked for.
        select: Select,
        /// The names there are, at most 16.
        names: Vec<String>,
    },
    /// It is not said which image is meant.
    #[error("archive has {count} images")]
    Several {
        /// How many.
        count: usize,
        /// The names there are, at most 16.
        names: Vec<String>,
    },
}

impl Hint for ArchiveError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Spool { source } => {
                let error = source.get_ref()?.downcast_ref::<DecodeError>()?;
                let DecodeError::Format { format } = error else { return None };
                Some(format!("unpack it first: `{format} -dc FILE | creel pull docker-archive:-`"))
            }
            Self::Document { source } => source.hint(),
            Self::NoImage { names, .. } if !names.is_empty() => {
                Some(format!("choose one of {}", names.join(", ")))
            }
            Self::Several { .. } => {
                Some("choose one by its name or place: `docker-archive:FILE:@0`".into())
            }
            _ => None,
        }
    }
}

fn described(select: &Select) -> String {
    match select {
        Select::Only => "at all".to_owned(),
        Select::Named(name) => format!("called `{name}`"),
        Select::Index(place) => format!("at the place {place}"),
    }
}
