//! From what a person types to an image in the store.

use creel_base::digest::Digest;
use creel_base::reference::{Name, ParseReferenceError, Reference};

use super::{Image, ImageError, Images};
use crate::Engine;

/// The registry of images that were made here.
pub(crate) const LOCALHOST: &str = "localhost";
/// Fewer digits are no id: too many names would be one.
const MIN_ID: usize = 4;

impl Engine {
    /// Finds an image in the store by name, `name@digest`, id, or the start of an id of at least
    /// four digits. A name counts before an id.
    ///
    /// A name without a registry means what was made here, then what `registries.conf` makes of it,
    /// in the order in which it would be pulled.
    ///
    /// # Errors
    /// [`ImageError::NotFound`], [`ImageError::Ambiguous`], [`ImageError::Name`], and those of
    /// reading.
    pub fn image(&self, text: &str) -> Result<Image, ImageError> {
        if let Some((name, digest)) = self.find_name(text)? {
            return self.load(digest, vec![name]);
        }
        let Some(start) = id_start(text) else { return Err(ImageError::not_found(text)) };
        self.find_id(text, start)
    }

    /// Finds the name that a text stands for, and the manifest it names.
    pub(super) fn find_name(&self, text: &str) -> Result<Option<(Reference, Digest)>, ImageError> {
        if text.starts_with("sha256:") {
            return Ok(None);
        }
        let name = match text.parse() {
            Ok(name) => name,
            Err(ParseReferenceError::LooksLikeId) => return Ok(None),
            Err(source) => return Err(ImageError::name(text)(source)),
        };
        for candidate in self.candidates(&name)? {
            if let Some(digest) = self.manifest_of(&candidate)? {
                return Ok(Some((candidate, digest)));
            }
        }
        Ok(None)
    }

    /// Returns what a name may mean in the store, the likeliest first.
    fn candidates(&self, name: &Name) -> Result<Vec<Reference>, ImageError> {
        match name {
            Name::Full(reference) => Ok(vec![reference.clone()]),
            Name::Short(short) => {
                let here = short.at_registry(LOCALHOST);
                let here = here.map_err(ImageError::name(&short.to_string()))?;
                let mut candidates = vec![here];
                candidates.extend(self.registries()?.candidates(short)?);
                Ok(candidates)
            }
        }
    }

    /// Returns the manifest that a reference names in the store.
    pub(crate) fn manifest_of(&self, reference: &Reference) -> Result<Option<Digest>, ImageError> {
        let Some(wanted) = reference.digest() else {
            return Ok(self.store.reference(reference.to_string().as_bytes())?);
        };
        let by_digest = reference.at_digest(wanted).to_string();
        if let Some(found) = self.store.reference(by_digest.as_bytes())? {
            return Ok(Some(found));
        }
        // What came by a tag is also had by its digest, and by that of its index.
        let name = reference.name();
        let names = self.names()?;
        let mut same = names.into_iter().filter(|(other, _)| other.name() == name);
        let same = same.find(|(other, digest)| *digest == wanted || other.digest() == Some(wanted));
        Ok(same.map(|(_, digest)| digest))
    }

    fn find_id(&self, text: &str, start: &str) -> Result<Image, ImageError> {
        let Images { images, .. } = self.all_images()?;
        let mut matching: Vec<Image> =
            images.into_iter().filter(|image| image.id.hex().starts_with(start)).collect();
        // Several manifests of one configuration are one image; one with a name is preferred.
        matching.sort_by_key(|image| (image.id, image.names.is_empty()));
        matching.dedup_by_key(|image| image.id);
        match (matching.pop(), matching.len()) {
            (Some(image), 0) => Ok(image),
            (None, _) => Err(ImageError::not_found(text)),
            (Some(_), more) => {
                Err(ImageError::Ambiguous { prefix: text.to_owned(), count: more + 1 })
            }
        }
    }
}

/// Returns the hex digits of a text that may be an id, or the start of one.
fn id_start(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (hex && (MIN_ID..=64).contains(&digits.len())).then_some(digits)
}
