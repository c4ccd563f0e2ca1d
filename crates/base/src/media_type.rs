//! Media types of OCI and Docker image documents, and what each stands for.
//!
//! Source: OCI image specification 1.1, `media-types.md`; Docker's image manifest version 2 schema 2.
//! A type that is in neither is kept as it was written, because artefacts bring their own.

use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;

/// Which specification a document follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// The OCI image specification.
    Oci,
    /// Docker's schema 2.
    Docker,
}

/// How the tar of a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// Whether a layer may be pushed to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Distribution {
    /// An ordinary layer.
    Allowed,
    /// OCI's deprecated "non-distributable", Docker's "foreign": comes from the URLs of its
    /// descriptor and is not uploaded.
    Restricted,
}

/// The type of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    /// Whose name the type has.
    pub family: Family,
    /// How the tar is compressed.
    pub compression: Compression,
    /// Whether it may be pushed.
    pub distribution: Distribution,
}

/// A media type, sorted by what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaType {
    /// An image manifest: a config and layers.
    Manifest(Family),
    /// An OCI index or a Docker manifest list: one manifest a platform.
    Index(Family),
    /// An image configuration.
    Config(Family),
    /// A layer.
    Layer(Layer),
    /// Docker's schema 1 manifest, signed or not: known only to be refused by name.
    Schema1,
    /// The two bytes `{}` that stand where an artefact has no config or content.
    Empty,
    /// Anything else, as it was written.
    Other(Box<str>),
}

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The types a client asks a registry for, best first: the `Accept` header of a manifest request.
pub const ACCEPTED_MANIFESTS: [MediaType; 4] = [
    MediaType::Index(Family::Oci),
    MediaType::Manifest(Family::Oci),
    MediaType::Index(Family::Docker),
    MediaType::Manifest(Family::Docker),
];

impl Layer {
    /// Returns the type of an ordinary OCI layer.
    pub const fn oci(compression: Compression) -> Self {
        Self { family: Family::Oci, compression, distribution: Distribution::Allowed }
    }

    /// Returns the type of an ordinary Docker layer.
    pub const fn docker(compression: Compression) -> Self {
        Self { family: Family::Docker, compression, distribution: Distribution::Allowed }
    }

    /// Returns the type as it is written.
    ///
    /// Docker's own specification knows only gzip; the names of the others are those that
    /// containerd and BuildKit use.
    pub const fn as_str(&self) -> &'static str {
        use Compression::{Gzip, None, Zstd};
        use Distribution::{Allowed, Restricted};
        use Family::{Docker, Oci};
        match (self.family, self.distribution, self.compression) {
            (Oci, Allowed, None) => "application/vnd.oci.image.layer.v1.tar",
            (Oci, Allowed, Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Oci, Allowed, Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Oci, Restricted, None) => "application/vnd.oci.image.layer.nondistributable.v1.tar",
            (Oci, Restricted, Gzip) => {
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            }
            (Oci, Restricted, Zstd) => {
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            }
            (Docker, Allowed, None) => "application/vnd.docker.image.rootfs.diff.tar",
            (Docker, Allowed, Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (Docker, Allowed, Zstd) => "application/vnd.docker.image.rootfs.diff.tar.zstd",
            (Docker, Restricted, None) => "application/vnd.docker.image.rootfs.foreign.diff.tar",
            (Docker, Restricted, Gzip) => {
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
            }
            (Docker, Restricted, Zstd) => {
                "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd"
            }
        }
    }

    /// Reads a layer's type; `None` for anything else.
    fn read(text: &str) -> Option<Self> {
        Self::all().find(|layer| layer.as_str() == text)
    }

    fn all() -> impl Iterator<Item = Self> {
        use Compression::{Gzip, None, Zstd};
        [Family::Oci, Family::Docker].into_iter().flat_map(|family| {
            [Distribution::Allowed, Distribution::Restricted].into_iter().flat_map(
                move |distribution| {
                    [Gzip, Zstd, None].map(|compression| Self { family, compression, distribution })
                },
            )
        })
    }
}

impl MediaType {
    /// Reads a media type as a document has it: exactly, in lower case.
    pub fn new(text: &str) -> Self {
        match text {
            OCI_MANIFEST => Self::Manifest(Family::Oci),
            OCI_INDEX => Self::Index(Family::Oci),
            OCI_CONFIG => Self::Config(Family::Oci),
            OCI_EMPTY => Self::Empty,
            DOCKER_MANIFEST => Self::Manifest(Family::Docker),
            DOCKER_LIST => Self::Index(Family::Docker),
            DOCKER_CONFIG => Self::Config(Family::Docker),
            SCHEMA1 | SCHEMA1_SIGNED => Self::Schema1,
            _ => match Layer::read(text) {
                Some(layer) => Self::Layer(layer),
                None => Self::Other(text.into()),
            },
        }
    }

    /// Reads the value of an HTTP `Content-Type` header: parameters after `;` do not count, and
    /// neither does case (RFC 9110 §8.3.1).
    pub fn from_content_type(value: &str) -> Self {
        let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
        Self::new(&essence.trim().to_ascii_lowercase())
    }

    /// Returns the type as it is written.
    ///
    /// For [`MediaType::Schema1`] this is the unsigned form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Manifest(Family::Oci) => OCI_MANIFEST,
            Self::Manifest(Family::Docker) => DOCKER_MANIFEST,
            Self::Index(Family::Oci) => OCI_INDEX,
            Self::Index(Family::Docker) => DOCKER_LIST,
            Self::Config(Family::Oci) => OCI_CONFIG,
            Self::Config(Family::Docker) => DOCKER_CONFIG,
            Self::Layer(layer) => layer.as_str(),
            Self::Schema1 => SCHEMA1,
            Self::Empty => OCI_EMPTY,
            Self::Other(text) => text,
        }
    }

    /// Returns the layer's type, if this is one.
    pub const fn layer(&self) -> Option<Layer> {
        match self {
            Self::Layer(layer) => Some(*layer),
            _ => None,
        }
    }

    /// Returns the specification that defines this type, if one that creel reads does.
    pub const fn family(&self) -> Option<Family> {
        match self {
            Self::Manifest(family) | Self::Index(family) | Self::Config(family) => Some(*family),
            Self::Layer(layer) => Some(layer.family),
            Self::Schema1 => Some(Family::Docker),
            Self::Empty => Some(Family::Oci),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaType {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_reads_back() {
        let documents = [
            OCI_MANIFEST,
            OCI_INDEX,
            OCI_CONFIG,
            OCI_EMPTY,
            DOCKER_MANIFEST,
            DOCKER_LIST,
            DOCKER_CONFIG,
            SCHEMA1,
        ];
        for text in documents {
            let media_type = MediaType::new(text);
            assert!(media_type.family().is_some(), "{text}");
            assert_eq!(media_type.as_str(), text);
        }
        assert_eq!(Layer::all().count(), 12);
        for layer in Layer::all() {
            assert_eq!(MediaType::new(layer.as_str()), MediaType::Layer(layer));
        }
    }

    #[test]
    fn unknown_types_are_kept_as_written() {
        for text in [
            "",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "application/vnd.oci.image.layer.v1.tar+bzip2",
            "Application/VND.oci.image.index.v1+json",
            "application/vnd.in-toto+json",
        ] {
            assert_eq!(MediaType::new(text), MediaType::Other(text.into()));
            assert_eq!(MediaType::new(text).as_str(), text);
            assert_eq!(MediaType::new(text).family(), None);
        }
    }

    #[test]
    fn content_types_lose_parameters_and_case() {
        for text in [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.index.v1+json; charset=utf-8",
            " Application/vnd.OCI.image.index.v1+json ;charset=utf-8",
        ] {
            assert_eq!(MediaType::from_content_type(text), MediaType::Index(Family::Oci));
        }
    }

    #[test]
    fn signed_schema_1_is_schema_1() {
        assert_eq!(MediaType::new(SCHEMA1_SIGNED), MediaType::Schema1);
    }
}
