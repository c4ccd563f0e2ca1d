//! Why an image cannot be had.

use creel_base::digest::Digest;
use creel_base::hint::Hint;
use creel_base::reference::{ParseReferenceError, Reference};
use creel_image::document::DocumentError;
use creel_registry::registries::RegistriesError;
use creel_store::StoreError;

/// Why an image in the store cannot be found, read, named or removed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The text names no image, whatever is in the store.
    #[error("cannot read the image name `{text}`")]
    Name {
        /// The text, cut to 256 characters.
        text: String,
        /// What is wrong.
        source: ParseReferenceError,
    },
    /// The store has no such image.
    #[error("no image `{text}` in the store")]
    NotFound {
        /// What was asked for, cut to 256 characters.
        text: String,
    },
    /// Several images have ids that start so.
    #[error("image id `{prefix}` is not unique: {count} images start with it")]
    Ambiguous {
        /// The start of an id.
        prefix: String,
        /// How many images.
        count: usize,
    },
    /// A name that is given to an image must not have a digest.
    #[error("name `{name}` has a digest, and an image can be given a tag only")]
    DigestInName {
        /// The name.
        name: String,
    },
    /// A manifest or a configuration is refused.
    #[error("cannot read `{digest}`")]
    Document {
        /// The document.
        digest: Box<Digest>,
        /// Why.
        source: Box<DocumentError>,
    },
    /// A name leads to an index where a manifest should be.
    #[error("`{digest}` is an index and no image")]
    Index {
        /// The index.
        digest: Box<Digest>,
    },
    /// Containers need the image.
    #[error("image `{name}` is in use by {}", listed(.users))]
    InUse {
        /// The image as it was asked for.
        name: String,
        /// The containers.
        users: Vec<String>,
    },
    /// The image has several names, and was asked to be removed by its id.
    #[error("image `{id}` has several names: {}", listed(.names))]
    SeveralNames {
        /// The id as it was asked for.
        id: String,
        /// The names.
        names: Vec<Reference>,
    },
    /// `registries.conf` cannot be followed.
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for ImageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name { source, .. } => source.hint(),
            Self::NotFound { text } => {
                Some(format!("`creel pull {text}` fetches it, `creel images` shows what there is"))
            }
            Self::Ambiguous { .. } => Some("give more digits of the id".into()),
            Self::DigestInName { .. } => Some("leave out the `@` and what follows it".into()),
            Self::Document { source, .. } => source.hint(),
            Self::InUse { users, .. } => Some(format!(
                "remove them first: `creel rm {}`, or use `creel rmi --force`",
                users.join(" ")
            )),
            Self::SeveralNames { .. } => {
                Some("remove it by a name, or all of it with `creel rmi --force`".into())
            }
            Self::Store(source) => source.hint(),
            Self::Index { .. } | Self::Registries(_) => None,
        }
    }
}

impl ImageError {
    /// Says that there is no image of this name or id.
    pub(crate) fn not_found(text: &str) -> Self {
        Self::NotFound { text: cut(text) }
    }

    pub(crate) fn name(text: &str) -> impl FnOnce(ParseReferenceError) -> Self {
        move |source| Self::Name { text: cut(text), source }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(256).collect()
}

/// At most eight, in backticks.
fn listed(items: &[impl ToString]) -> String {
    const SHOWN: usize = 8;
    let shown = items.iter().take(SHOWN).map(|item| format!("`{}`", item.to_string()));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN {
        text.push_str(" and more");
    }
    text
}
