//! Why a layout cannot be read or written.

use std::path::PathBuf;

use creel_base::digest::Digest;
use creel_base::hint::Hint;
use creel_base::path::PathError;
use creel_base::transport::Select;

use crate::archive::ArchiveError;
use crate::document::DocumentError;

/// Why a layout cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file operation failed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An archive is refused.
    #[error(transparent)]
    Archive(#[from] Box<ArchiveError>),
    /// The directory is something else.
    #[error("`{}` is no OCI image layout: it has no `oci-layout`", path.display())]
    NoLayout {
        /// The directory or archive.
        path: PathBuf,
    },
    /// `oci-layout` is malformed.
    #[error("cannot read `oci-layout`")]
    Marker {
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The layout has another version.
    #[error("layout has the version `{version}`: only 1.0.0 is known")]
    Version {
        /// The version.
        version: String,
    },
    /// A manifest or index is refused.
    #[error("cannot read `{}`", file.display())]
    Document {
        /// The file within the layout.
        file: PathBuf,
        /// Why.
        source: DocumentError,
    },
    /// `index.json` is a manifest.
    #[error("`index.json` is no index")]
    IndexKind,
    /// There is no such image.
    #[error("layout has no image {}", described(select))]
    NoImage {
        /// What was asked for.
        select: Select,
        /// The names there are, at most 16.
        names: Vec<String>,
    },
    /// There are several such images.
    #[error("layout has more than one image {}", described(select))]
    Several {
        /// What was asked for.
        select: Select,
        /// The names there are, at most 16.
        names: Vec<String>,
    },
    /// A blob is not there.
    #[error("layout has no blob `{digest}`")]
    NoBlob {
        /// The blob.
        digest: Digest,
    },
    /// A blob could not be copied, or is not the one described.
    #[error("cannot write the blob `{digest}`")]
    Copy {
        /// The blob.
        digest: Digest,
        /// Why.
        source: std::io::Error,
    },
    /// A document could not be written as JSON.
    #[error("cannot write `{file}`")]
    Write {
        /// The file within the layout.
        file: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

impl Hint for LayoutError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Document { source, .. } => source.hint(),
            Self::Archive(source) => source.hint(),
            Self::NoImage { names, .. } | Self::Several { names, .. } if !names.is_empty() => {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("choose one of {}", names.join(", ")))
            }
            Self::Several { .. } => Some("choose one by its place: `oci:PATH:@0`".into()),
            _ => None,
        }
    }
}

fn described(select: &Select) -> String {
    match select {
        Select::Only => "to choose".to_owned(),
        Select::Named(name) => format!("called `{name}`"),
        Select::Index(place) => format!("at the place {place}"),
    }
}
