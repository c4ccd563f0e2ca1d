//! Where a pull goes to, and what the image is called afterwards.

use std::path::Path;

use creel_base::reference::{Name, Reference};
use creel_image::layout::REF_NAME;
use creel_registry::client::Repository;
use creel_registry::credentials::Fixed;
use creel_registry::http::TlsPolicy;
use creel_registry::registries::ShortNameMode;

use super::origin::{OriginError, Remote};
use super::{Pull, PullError};
use crate::Engine;
use crate::images::LOCALHOST;

/// An image that was found at a registry.
pub(super) struct Found {
    pub(super) name: Reference,
    pub(super) origin: Remote,
}

impl Engine {
    /// Looks for an image at the registries that its name may mean, at mirrors first.
    pub(super) fn find_remote(&self, name: &Name, options: &Pull) -> Result<Found, PullError> {
        let candidates = match name {
            Name::Full(reference) => vec![reference.clone()],
            Name::Short(short) => self.registries()?.candidates(short)?,
        };
        let ask = self.registries()?.short_name_mode() == ShortNameMode::Enforcing;
        if ask && candidates.len() > 1 {
            let candidates = candidates.iter().map(|name| format!("`{name}`")).collect();
            return Err(PullError::ShortName { name: name.to_string(), candidates });
        }
        let mut failure = None;
        for candidate in candidates {
            match self.find_at(&candidate, options) {
                Ok(origin) => return Ok(Found { name: candidate, origin }),
                // The first says most: it is what is meant if anything is.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(PullError::ShortName { name: name.to_string(), candidates: vec![] }))
    }

    fn find_at(&self, name: &Reference, options: &Pull) -> Result<Remote, PullError> {
        let mut failure = None;
        for repository in self.repositories(name, options)? {
            match repository.manifest(&name.selector()) {
                Ok(root) => return Ok(Remote { repository, root }),
                // The last one is the place itself, the others are mirrors of it.
                Err(error) => failure = Some(error),
            }
        }
        let failure = failure.unwrap_or_else(|| creel_registry::Error::UnknownImage {
            registry: name.registry().to_owned(),
            image: name.repository().to_owned(),
        });
        Err(PullError::Origin { name: name.to_string(), source: OriginError::from(failure) })
    }

    /// The repositories to pull from, mirrors first.
    fn repositories(&self, name: &Reference, options: &Pull) -> Result<Vec<Repository>, PullError> {
        let client = self.client(
            options
                .credentials
                .clone()
                .map(|credential| Fixed { registry: name.registry().to_owned(), credential }),
        );
        let sources = self.registries()?.sources(name)?.into_iter();
        let open = |source: creel_registry::registries::Source| {
            let tls = options.verify_tls.map_or(source.tls, |verify| match verify {
                true => TlsPolicy::Verify,
                false => TlsPolicy::AllowInsecure,
            });
            client.repository(&source.registry, &source.repository, tls)
        };
        Ok(sources.map(open).collect())
    }
}

/// Names an image from a layout by what the layout calls it: a whole reference, or a tag of the
/// layout's own directory. `None` where that is no name.
pub(super) fn of_layout(
    path: &Path,
    annotations: &std::collections::BTreeMap<String, String>,
) -> Vec<Reference> {
    let Some(text) = annotations.get(REF_NAME) else {
        return of_path(path, None).into_iter().collect();
    };
    let whole = text.contains(['/', ':']).then(|| match text.parse().ok()? {
        Name::Full(reference) => Some(reference),
        Name::Short(short) => short.at_registry(LOCALHOST).ok(),
    });
    let name = match whole {
        Some(name) => name,
        None => of_path(path, Some(text)),
    };
    name.into_iter().collect()
}

/// `localhost/FILE:TAG`.
pub(super) fn of_path(path: &Path, tag: Option<&str>) -> Option<Reference> {
    let stem = path.file_stem().filter(|_| path.extension().is_some_and(|e| e == "tar"));
    let name = stem.or_else(|| path.file_name())?.to_str()?.to_ascii_lowercase();
    Reference::new(LOCALHOST, &name, tag, None).ok()
}
