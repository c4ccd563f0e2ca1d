//! Giving images names.

use creel_base::digest::Digest;
use creel_base::reference::{Name, Reference};

use super::find::LOCALHOST;
use super::{Image, ImageError};
use crate::Engine;

/// Reads a name that an image is to be given. Without a registry it is at `localhost`, so that
/// nothing made here passes for what is at a registry.
///
/// # Errors
/// [`ImageError::Name`] and [`ImageError::DigestInName`].
pub fn new_name(text: &str) -> Result<Reference, ImageError> {
    let name = match text.parse().map_err(ImageError::name(text))? {
        Name::Full(reference) => reference,
        Name::Short(short) => short.at_registry(LOCALHOST).map_err(ImageError::name(text))?,
    };
    match name.digest() {
        None => Ok(name),
        Some(_) => Err(ImageError::DigestInName { name: text.to_owned() }),
    }
}

impl Engine {
    /// Gives an image one more name, in place of the image that had it.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<(), ImageError> {
        let transaction = self.store.begin()?;
        Ok(transaction.commit(&[(name.to_string().as_bytes(), image.digest)])?)
    }
}

/// The references of the store by which an image is to be found again: its name and, where it was
/// chosen from an index, the index by its digest. One that came along with a tag has the tag too, and
/// goes with it.
pub(crate) fn references(
    name: &Reference,
    manifest: Digest,
    index: Option<Digest>,
) -> Vec<(String, Digest)> {
    let own = match (name.tag(), name.digest()) {
        // A name with both is a tag that was made sure of.
        (Some(tag), Some(_)) => format!("{}:{tag}", name.name()),
        _ => name.to_string(),
    };
    let index = index.map(|index| {
        let with_tag = name.tag().map(|tag| format!("{}:{tag}@{index}", name.name()));
        let with_tag = with_tag.filter(|text| is_short(text));
        with_tag.unwrap_or_else(|| name.at_digest(index).to_string())
    });
    let mut all = vec![own];
    all.extend(index.filter(|index| all.first() != Some(index)));
    all.into_iter().map(|name| (name, manifest)).collect()
}

/// Tells whether a text can be a reference of the store, which is a file name in which all but a few
/// characters take three bytes. One that is too long stays without its tag, as if it had been asked for.
fn is_short(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let width = |byte| if plain(byte) { 1 } else { 3 };
    text.bytes().map(width).sum::<usize>() <= 255
}
