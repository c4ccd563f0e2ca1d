//! Taking images their names.

use creel_base::digest::Digest;
use creel_base::reference::Reference;

use super::ImageError;
use crate::Engine;

/// How far a removal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Not where something is lost that others need: containers, other names.
    Careful,
    /// All the same. Containers keep what they run on until they are removed themselves.
    Forced,
}

/// What a removal took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The names that are gone.
    pub names: Vec<Reference>,
    /// The image, if that was its last name; its bytes go with the next collection.
    pub image: Option<Digest>,
    /// The manifest of that image.
    pub manifest: Option<Digest>,
}

impl Engine {
    /// Takes an image the name it was asked for by, or all of them where that was its id.
    ///
    /// `users` returns the containers that need the image with a manifest. Takes the same time
    /// whatever the image's size, and works for an image that is damaged.
    ///
    /// # Errors
    /// [`ImageError::InUse`] and [`ImageError::SeveralNames`] unless it is [`Removal::Forced`]; and
    /// as [`Engine::image`].
    pub fn remove(
        &self,
        text: &str,
        how: Removal,
        users: &dyn Fn(&Digest) -> Vec<String>,
    ) -> Result<Removed, ImageError> {
        let (name, digest) = match self.find_name(text)? {
            Some((name, digest)) => (Some(name), digest),
            None => (None, self.image(text)?.digest),
        };
        let all = self.names_of(digest)?;
        let names = match &name {
            Some(name) => with_companions(name, &all),
            None => all.clone(),
        };
        let last = names.len() == all.len();
        if how == Removal::Careful {
            if name.is_none() && tags(&all) > 1 {
                return Err(ImageError::SeveralNames { id: text.to_owned(), names: all });
            }
            let users = if last { users(&digest) } else { Vec::new() };
            if !users.is_empty() {
                return Err(ImageError::InUse { name: text.to_owned(), users });
            }
        }
        for name in &names {
            self.store.remove_reference(name.to_string().as_bytes())?;
        }
        let id = || self.load(digest, Vec::new()).map_or(digest, |image| image.id);
        Ok(Removed { names, image: last.then(id), manifest: last.then_some(digest) })
    }
}

/// The name, and those by digest that came along with it. What was pulled by its digest is another
/// name, and stays.
fn with_companions(name: &Reference, all: &[Reference]) -> Vec<Reference> {
    let goes = |other: &&Reference| match name.digest() {
        None => other.tag() == name.tag(),
        Some(digest) => other.digest() == Some(digest),
    };
    all.iter().filter(|other| other.name() == name.name()).filter(goes).cloned().collect()
}

/// How many names are tags; those by digest came along with one.
fn tags(names: &[Reference]) -> usize {
    names.iter().filter(|name| name.digest().is_none()).count()
}
