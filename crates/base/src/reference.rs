//! Image references: `registry/repository:tag@digest`, and the short names people type.
//!
//! Source: the grammar of the distribution project's `reference` package and OCI distribution
//! specification 1.1, `spec.md#pulling-manifests`. Docker Hub's familiar names (`debian` for
//! `docker.io/library/debian:latest`) are the rule of that package too. A reference becomes part of
//! URLs, file names and log lines, so the grammar is enforced to the letter and every text is bounded.

use core::fmt;
use core::str::FromStr;

use crate::digest::{Digest, ParseDigestError};
use crate::hint::Hint;

mod grammar;

/// The registry that familiar names stand for.
pub const DOCKER_HUB: &str = "docker.io";
/// The tag of a reference that has neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// Most bytes of `registry/repository`.
pub const MAX_NAME: usize = 255;
/// Most bytes of a tag.
pub const MAX_TAG: usize = 128;
/// The namespace of Docker Hub's official images, left out of familiar names.
const OFFICIAL: &str = "library/";

/// A reference with everything in it: a registry, a repository, and a tag or a digest or both.
///
/// Parsing applies Docker Hub's rules: a name without a registry is at `docker.io`. Where
/// `registries.conf` has a say in that, parse a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: Box<str>,
    repository: Box<str>,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
}

/// A name without a registry, such as `debian:13` or `tools/jq`, not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShortName {
    path: Box<str>,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
}

/// What a person typed where an image in a registry or in the store is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// It names its registry.
    Full(Reference),
    /// It does not.
    Short(ShortName),
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// There is nothing, or nothing before the tag or digest.
    #[error("image reference has no name")]
    Empty,
    /// The name is longer than [`MAX_NAME`] bytes.
    #[error("image name has {found} bytes where {MAX_NAME} are allowed")]
    NameTooLong {
        /// Bytes found.
        found: usize,
    },
    /// The registry is not a host with an optional port.
    #[error("image reference has the registry `{registry}`, which is no host or host:port")]
    Registry {
        /// The registry as written.
        registry: String,
    },
    /// The repository has an upper-case letter.
    #[error("image name `{name}` has upper-case letters")]
    UpperCase {
        /// The repository as written.
        name: String,
        /// What may be written instead: all of the reference, as far as it was given.
        instead: String,
    },
    /// A part of the repository breaks the grammar.
    #[error(
        "image name has the part `{part}`, which is not lower-case letters and digits joined by `.`, `_`, `__` or `-`"
    )]
    Part {
        /// The text between two slashes.
        part: String,
    },
    /// The name is 64 hex digits, which is an image id.
    #[error("image name is 64 hex digits, which is an id")]
    LooksLikeId,
    /// The tag is empty, too long, or has a character it may not.
    #[error(
        "image reference has the tag `{tag}`, which is not 1 to {MAX_TAG} letters, digits, `_`, `.` or `-`, the first a letter, digit or `_`"
    )]
    Tag {
        /// The tag as written.
        tag: String,
    },
    /// What follows the `@` is not a digest.
    #[error("image reference has no digest after the `@`")]
    Digest(#[source] ParseDigestError),
}

impl Hint for ParseReferenceError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UpperCase { instead, .. } => Some(format!("write `{instead}`")),
            Self::LooksLikeId => Some("add a tag or a registry, or use the first 12 digits".into()),
            Self::Registry { .. } => Some("write `HOST/NAME:TAG` or `HOST:PORT/NAME:TAG`".into()),
            _ => None,
        }
    }
}

impl ParseReferenceError {
    /// Has the advice for upper case be all of `text`, which begins with `name`, which ends with
    /// `repository`: its registry, tag and digest stay as they are.
    fn within(self, text: &str, name: &str, repository: &str) -> Self {
        let Self::UpperCase { .. } = self else { return self };
        let registry = name.strip_suffix(repository).unwrap_or_default();
        let rest = text.strip_prefix(name).unwrap_or_default();
        let instead = format!("{registry}{}{rest}", repository.to_ascii_lowercase());
        Self::UpperCase { name: repository.to_owned(), instead }
    }
}

impl Reference {
    /// Puts a reference together.
    ///
    /// # Errors
    /// [`ParseReferenceError`] for a part outside the grammar. Where there is neither tag nor
    /// digest, the tag is `latest`.
    pub fn new(
        registry: &str,
        repository: &str,
        tag: Option<&str>,
        digest: Option<Digest>,
    ) -> Result<Self, ParseReferenceError> {
        let repository = canonical_repository(registry, repository);
        grammar::check_name(registry, &repository)?;
        let tag = tag.map(grammar::check_tag).transpose()?;
        Ok(Self {
            registry: canonical_registry(registry).into(),
            repository: repository.into(),
            tag: tag.or_else(|| digest.is_none().then_some(DEFAULT_TAG)).map(Into::into),
            digest,
        })
    }

    /// Returns the registry: a host, or a host and a port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository within the registry, such as `library/debian`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns `registry/repository`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the tag; `None` only if there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest.
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns what a registry is asked for: the digest if there is one, else the tag.
    pub fn selector(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// Returns the same repository by digest alone.
    pub fn at_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// Returns the same repository by tag alone.
    ///
    /// # Errors
    /// [`ParseReferenceError::Tag`].
    pub fn at_tag(&self, tag: &str) -> Result<Self, ParseReferenceError> {
        Ok(Self { tag: Some(grammar::check_tag(tag)?.into()), digest: None, ..self.clone() })
    }

    /// Returns this reference with `name` (`registry/repository`) in place of its own, as mirrors
    /// and aliases have it. The registry is never guessed: the first part is it.
    ///
    /// # Errors
    /// [`ParseReferenceError`] for a name outside the grammar.
    pub fn with_name(&self, name: &str) -> Result<Self, ParseReferenceError> {
        let (registry, repository) = split_name(name)?;
        Self::new(registry, repository, self.tag(), self.digest)
    }

    /// Returns the shortest form that parses to the same reference on Docker Hub's rules:
    /// `debian:13` for `docker.io/library/debian:13`. The tag is kept, `latest` too.
    pub fn familiar(&self) -> String {
        let name = self.familiar_name().map_or_else(|| self.name(), str::to_owned);
        Written { name: &name, tag: self.tag(), digest: self.digest }.to_string()
    }

    /// The repository without Docker Hub's `library/`; `None` where a name without a registry
    /// would be read as something else.
    fn familiar_name(&self) -> Option<&str> {
        if &*self.registry != DOCKER_HUB {
            return None;
        }
        match self.repository.strip_prefix(OFFICIAL) {
            Some(rest) if !rest.contains('/') && !grammar::looks_like_id(rest) => {
                return Some(rest);
            }
            _ => {}
        }
        let (first, _) = self.repository.split_once('/')?;
        (!grammar::is_registry(first)).then_some(&self.repository)
    }
}

impl ShortName {
    /// Returns the name without tag and digest.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the tag as it was typed.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest.
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Resolves the name at a registry, one of `unqualified-search-registries`.
    ///
    /// # Errors
    /// [`ParseReferenceError`] if `registry` is none, or the whole name gets too long.
    pub fn at_registry(&self, registry: &str) -> Result<Reference, ParseReferenceError> {
        Reference::new(registry, &self.path, self.tag(), self.digest)
    }

    /// Resolves the name by an alias: `name` is `registry/repository`, the tag and digest stay.
    ///
    /// # Errors
    /// [`ParseReferenceError`] for a name outside the grammar.
    pub fn at_name(&self, name: &str) -> Result<Reference, ParseReferenceError> {
        let (registry, repository) = split_name(name)?;
        Reference::new(registry, repository, self.tag(), self.digest)
    }
}

impl Name {
    /// Returns the reference, with a short name resolved at Docker Hub.
    ///
    /// # Errors
    /// [`ParseReferenceError::NameTooLong`] if the whole name gets too long.
    pub fn at_docker_hub(self) -> Result<Reference, ParseReferenceError> {
        match self {
            Self::Full(reference) => Ok(reference),
            Self::Short(short) => short.at_registry(DOCKER_HUB),
        }
    }
}

impl FromStr for Name {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = grammar::split(text)?;
        if let Some((registry, repository)) = parts.name.split_once('/')
            && grammar::is_registry(registry)
        {
            return Reference::new(registry, repository, parts.tag, parts.digest)
                .map(Self::Full)
                .map_err(|error| error.within(text, parts.name, repository));
        }
        grammar::check_path(parts.name)
            .map_err(|error| error.within(text, parts.name, parts.name))?;
        if grammar::looks_like_id(parts.name) {
            return Err(ParseReferenceError::LooksLikeId);
        }
        let tag = parts.tag.map(grammar::check_tag).transpose()?.map(Into::into);
        Ok(Self::Short(ShortName { path: parts.name.into(), tag, digest: parts.digest }))
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Name>()?.at_docker_hub()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { name: &self.name(), tag: self.tag(), digest: self.digest }.fmt(f)
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { name: &self.path, tag: self.tag(), digest: self.digest }.fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(reference) => reference.fmt(f),
            Self::Short(short) => short.fmt(f),
        }
    }
}

/// Writes `name[:tag][@digest]`.
struct Written<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<Digest>,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(tag) = self.tag {
            write!(f, ":{tag}")?;
        }
        match self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn split_name(name: &str) -> Result<(&str, &str), ParseReferenceError> {
    name.split_once('/').ok_or_else(|| ParseReferenceError::Registry { registry: name.to_owned() })
}

/// Docker Hub has an old name, which the reference package maps to the new one.
fn canonical_registry(registry: &str) -> &str {
    match registry {
        "index.docker.io" => DOCKER_HUB,
        other => other,
    }
}

fn canonical_repository(registry: &str, repository: &str) -> String {
    match canonical_registry(registry) {
        DOCKER_HUB if !repository.contains('/') => format!("{OFFICIAL}{repository}"),
        _ => repository.to_owned(),
    }
}

/// Parses `data` and checks that what was accepted reads back to itself: the entry for fuzzing.
pub fn fuzz(data: &[u8]) {
    let Some(name) = core::str::from_utf8(data).ok().and_then(|text| text.parse::<Name>().ok())
    else {
        return;
    };
    assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
    let Ok(reference) = name.at_docker_hub() else { return };
    assert!(reference.name().len() <= MAX_NAME);
    assert_eq!(reference.to_string().parse().as_ref(), Ok(&reference));
    assert_eq!(reference.familiar().parse().as_ref(), Ok(&reference));
}

#[cfg(test)]
mod tests;
