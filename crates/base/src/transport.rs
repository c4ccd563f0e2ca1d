//! Where an image comes from or goes to: a registry, a layout, an archive, or the host itself.
//!
//! Source: containers-transports(5), whose prefixes people know. What has none of them is a name; an
//! image that is itself called `oci` or `dir` is written `docker.io/library/oci:TAG`.

use core::fmt;
use core::str::FromStr;
use std::path::{Path, PathBuf};

use crate::hint::Hint;
use crate::reference::{Name, ParseReferenceError};

/// Most bytes of the part that picks an image out of a layout or archive.
const MAX_SELECTOR: usize = 1024;

/// Which image of a layout or archive is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Select {
    /// The only one.
    Only,
    /// The one of this name: the annotation `org.opencontainers.image.ref.name` in a layout, a
    /// repository tag in a Docker archive. As it was written.
    Named(String),
    /// The one at this place, from 0, written `@N`.
    Index(u32),
}

/// An image, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// `docker://NAME`, or a name alone: in the store or a registry.
    Name(Name),
    /// `oci:PATH[:REF]`: an OCI image layout in a directory.
    Oci(PathBuf, Select),
    /// `oci-archive:PATH[:REF]`: the same in a tar.
    OciArchive(PathBuf, Select),
    /// `docker-archive:PATH[:REF]`: what `docker save` writes. `-` is standard input.
    DockerArchive(PathBuf, Select),
    /// `dir:PATH`: a manifest and its blobs in one directory.
    Dir(PathBuf),
    /// `host:`: the root of the running system.
    Host,
}

/// Why a text names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSourceError {
    /// The name of an image in a registry is wrong.
    #[error("cannot read the image name `{name}`")]
    Name {
        /// The name, cut to 256 characters.
        name: String,
        /// What is wrong.
        source: ParseReferenceError,
    },
    /// There is no path after the prefix.
    #[error("`{transport}:` has no path after it")]
    NoPath {
        /// The prefix without its colon.
        transport: &'static str,
    },
    /// What follows `@` is no number, or what follows the path is too long.
    #[error("`{transport}:` has an image after the path that is no name and no `@NUMBER`")]
    Select {
        /// The prefix without its colon.
        transport: &'static str,
    },
    /// A transport of other tools.
    #[error("transport `{transport}:` is not supported")]
    Unsupported {
        /// The prefix without its colon.
        transport: &'static str,
    },
}

impl Hint for ParseSourceError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name { source, .. } => source.hint(),
            Self::NoPath { transport: "dir" } => Some("write `dir:PATH`".into()),
            Self::NoPath { transport } | Self::Select { transport } => Some(format!(
                "write `{transport}:PATH`, `{transport}:PATH:NAME` or `{transport}:PATH:@0`"
            )),
            Self::Unsupported { .. } => Some(
                "copy the image to an archive first: `skopeo copy IMAGE oci-archive:FILE`".into(),
            ),
        }
    }
}

/// Prefixes of containers-transports(5) that creel does not read; refused by name, because
/// `ostree:x` would else be an image called `ostree`.
const UNSUPPORTED: [&str; 6] =
    ["containers-storage", "docker-daemon", "ostree", "sif", "tarball", "atomic"];

impl FromStr for Source {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "host:" {
            return Ok(Self::Host);
        }
        if let Some(name) = text.strip_prefix("docker://") {
            return parse_name(name);
        }
        let Some((prefix, rest)) = text.split_once(':') else { return parse_name(text) };
        if let Some(transport) = UNSUPPORTED.into_iter().find(|name| *name == prefix) {
            return Err(ParseSourceError::Unsupported { transport });
        }
        match prefix {
            "oci" => split("oci", rest).map(|(path, select)| Self::Oci(path, select)),
            "oci-archive" => {
                split("oci-archive", rest).map(|(path, select)| Self::OciArchive(path, select))
            }
            "docker-archive" => split("docker-archive", rest)
                .map(|(path, select)| Self::DockerArchive(path, select)),
            "dir" if rest.is_empty() => Err(ParseSourceError::NoPath { transport: "dir" }),
            "dir" => Ok(Self::Dir(rest.into())),
            _ => parse_name(text),
        }
    }
}

fn parse_name(name: &str) -> Result<Source, ParseSourceError> {
    name.parse()
        .map(Source::Name)
        .map_err(|source| ParseSourceError::Name { name: name.chars().take(256).collect(), source })
}

/// Cuts `PATH[:IMAGE]` at the first colon; so the path has none, as with the other tools.
fn split(transport: &'static str, rest: &str) -> Result<(PathBuf, Select), ParseSourceError> {
    let (path, image) = rest.split_once(':').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(ParseSourceError::NoPath { transport });
    }
    let select = match image.strip_prefix('@') {
        Some(index) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
            index.parse().map(Select::Index).map_err(|_| ParseSourceError::Select { transport })?
        }
        Some(_) => return Err(ParseSourceError::Select { transport }),
        None if image.is_empty() => Select::Only,
        None if image.len() > MAX_SELECTOR || image.chars().any(char::is_control) => {
            return Err(ParseSourceError::Select { transport });
        }
        None => Select::Named(image.to_owned()),
    };
    Ok((path.into(), select))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut with_path = |transport: &str, path: &Path, select: &Select| {
            write!(f, "{transport}:{}", path.display())?;
            match select {
                Select::Only => Ok(()),
                Select::Named(name) => write!(f, ":{name}"),
                Select::Index(index) => write!(f, ":@{index}"),
            }
        };
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Oci(path, select) => with_path("oci", path, select),
            Self::OciArchive(path, select) => with_path("oci-archive", path, select),
            Self::DockerArchive(path, select) => with_path("docker-archive", path, select),
            Self::Dir(path) => with_path("dir", path, &Select::Only),
            Self::Host => f.write_str("host:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_every_transport() {
        let named = |name: &str| Select::Named(name.into());
        for (text, source) in [
            ("host:", Source::Host),
            ("oci:/a/b", Source::Oci("/a/b".into(), Select::Only)),
            ("oci:b:tag", Source::Oci("b".into(), named("tag"))),
            ("oci:b:q.io/x:1", Source::Oci("b".into(), named("q.io/x:1"))),
            ("oci:b:@3", Source::Oci("b".into(), Select::Index(3))),
            ("oci-archive:a.tar:x", Source::OciArchive("a.tar".into(), named("x"))),
            ("docker-archive:-", Source::DockerArchive("-".into(), Select::Only)),
            ("docker-archive:a.tar:@0", Source::DockerArchive("a.tar".into(), Select::Index(0))),
            ("dir:/a:b", Source::Dir("/a:b".into())),
        ] {
            assert_eq!(text.parse(), Ok(source.clone()), "{text}");
            assert_eq!(source.to_string(), text);
        }
        for (text, name) in [
            ("debian:13", "debian:13"),
            ("host", "host"),
            ("host:13", "host:13"),
            ("oci", "oci"),
            ("docker://debian", "debian"),
            ("docker://localhost:5000/x", "localhost:5000/x:latest"),
            ("docker.io/library/oci:1", "docker.io/library/oci:1"),
        ] {
            let read: Source = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(matches!(read, Source::Name(_)), "{text}");
            assert_eq!(read.to_string(), name);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "oci:",
            "oci::tag",
            "oci-archive:",
            "dir:",
            "docker://",
            "docker://../x",
            "oci:a:@",
            "oci:a:@-1",
            "oci:a:@+1",
            "oci:a:@4294967296",
            "oci:a:x\n",
            "https://q.io/x",
            "containers-storage:x",
            "docker-daemon:x:1",
            "docker-archive:",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text:?}");
        }
    }
}
