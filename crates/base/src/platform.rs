//! Platforms: operating system, architecture, variant.
//!
//! Source: OCI image specification 1.1, `image-index.md#image-index-property-descriptions`, whose
//! values are Go's GOOS and GOARCH; the other spellings are those that `uname -m` prints.

use core::fmt;
use core::str::FromStr;

/// Most bytes of one part.
const MAX_PART: usize = 32;

/// What an image runs on, in the names of the OCI specification.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: Box<str>,
    architecture: Box<str>,
    variant: Option<Box<str>>,
}

/// Why a text is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePlatformError {
    /// There are more than three parts.
    #[error("platform has more than the three parts of `os/architecture/variant`")]
    TooManyParts,
    /// A part is empty, too long, or has a character it may not.
    #[error(
        "platform has the part `{part}`, which is not 1 to {MAX_PART} letters, digits, `.`, `_` or `-`"
    )]
    Part {
        /// The part, cut to 32 characters.
        part: String,
    },
    /// A single word is no architecture that is known, so it is not clear what it means.
    #[error("platform `{word}` is no known architecture: expected one like `linux/arm64`")]
    UnknownWord {
        /// The word.
        word: String,
    },
}

/// Architectures that a single word may name.
const ARCHITECTURES: [&str; 13] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x",
];

impl Platform {
    /// Puts a platform together, with every part in its normal spelling.
    ///
    /// # Errors
    /// [`ParsePlatformError::Part`].
    pub fn new(
        os: &str,
        architecture: &str,
        variant: Option<&str>,
    ) -> Result<Self, ParsePlatformError> {
        let os = check(os)?.to_ascii_lowercase();
        let architecture = check(architecture)?.to_ascii_lowercase();
        let variant = variant.filter(|text| !text.is_empty()).map(check).transpose()?;
        let variant = variant.map(str::to_ascii_lowercase);
        let (architecture, variant) = normal(&architecture, variant.as_deref());
        Ok(Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
        })
    }

    /// Returns the platform this program was built for. On 32-bit Arm the variant is v7, which is
    /// what creel's builds need.
    pub fn host() -> Self {
        let (architecture, variant) = normal(std::env::consts::ARCH, None);
        Self {
            os: std::env::consts::OS.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
        }
    }

    /// Returns the operating system, such as `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Returns the architecture, such as `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns the variant, such as `v7`; `None` where the architecture's plain form is meant, which
    /// for arm64 is v8 and for amd64 v1.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Returns how well an image made for `image` suits this platform: `None` if it does not run,
    /// else smaller is better and 0 is exact.
    ///
    /// Variants of 32-bit Arm, arm64 and amd64 run the images of all lower ones (but Arm has none
    /// below v5). Other variants must be equal.
    pub fn rank(&self, image: &Self) -> Option<u32> {
        if self.os != image.os || self.architecture != image.architecture {
            return None;
        }
        if self.variant == image.variant {
            return Some(0);
        }
        self.level()?.checked_sub(image.level()?)
    }

    /// Returns the index of the platform that suits this one best, the first of equals.
    pub fn best<'a>(&self, images: impl IntoIterator<Item = &'a Self>) -> Option<usize> {
        images
            .into_iter()
            .enumerate()
            .filter_map(|(index, image)| Some((self.rank(image)?, index)))
            .min()
            .map(|(_, index)| index)
    }

    /// The variant as a number in tenths, for architectures whose variants are in order.
    fn level(&self) -> Option<u32> {
        let (plain, lowest) = match &*self.architecture {
            "amd64" => (10, 10),
            "arm64" => (80, 80),
            "arm" => (70, 50),
            _ => return None,
        };
        let Some(variant) = &self.variant else { return Some(plain) };
        let number = variant.strip_prefix('v')?;
        let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
        let major = major.parse::<u8>().ok()?;
        let minor = minor.parse::<u8>().ok().filter(|minor| *minor < 10)?;
        let level = u32::from(major) * 10 + u32::from(minor);
        (level >= lowest).then_some(level)
    }
}

/// Returns the normal spelling: `x86_64` is `amd64`, and a variant that is the plain form is none.
fn normal<'a>(architecture: &'a str, variant: Option<&'a str>) -> (&'a str, Option<&'a str>) {
    let (architecture, implied) = match architecture {
        "x86_64" | "x86-64" => ("amd64", None),
        "i386" | "i486" | "i586" | "i686" | "x86" => ("386", None),
        "aarch64" | "armv8" | "armv8l" => ("arm64", None),
        "armhf" | "armv7" | "armv7l" => ("arm", Some("v7")),
        "armel" | "armv6" | "armv6l" => ("arm", Some("v6")),
        "armv5" | "armv5l" => ("arm", Some("v5")),
        "powerpc64le" => ("ppc64le", None),
        "powerpc64" => ("ppc64", None),
        "loongarch64" => ("loong64", None),
        other => (other, None),
    };
    let variant = match (architecture, variant.or(implied)) {
        ("arm64", Some("v8" | "8")) | ("amd64", Some("v1" | "1")) => None,
        ("arm", None | Some("7")) => Some("v7"),
        ("arm", Some("5")) => Some("v5"),
        ("arm", Some("6")) => Some("v6"),
        (_, variant) => variant,
    };
    (architecture, variant)
}

fn check(part: &str) -> Result<&str, ParsePlatformError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=MAX_PART).contains(&part.len()) && part.bytes().all(allowed) {
        Ok(part)
    } else {
        Err(ParsePlatformError::Part { part: part.chars().take(MAX_PART).collect() })
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    /// Reads `os/architecture`, `os/architecture/variant`, or an architecture alone, which is
    /// taken to be for Linux.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let first = parts.next().unwrap_or_default();
        let Some(architecture) = parts.next() else {
            let platform = Self::new("linux", first, None)?;
            return match ARCHITECTURES.contains(&platform.architecture()) {
                true => Ok(platform),
                false => Err(ParsePlatformError::UnknownWord { word: first.to_owned() }),
            };
        };
        let variant = parts.next();
        if parts.next().is_some() {
            return Err(ParsePlatformError::TooManyParts);
        }
        Self::new(first, architecture, variant.map(check).transpose()?)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn spellings_become_normal() {
        for (text, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("x86_64", "linux/amd64"),
            ("Linux/X86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("i686", "linux/386"),
            ("riscv64", "linux/riscv64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(platform(text).to_string(), normal, "{text}");
            assert_eq!(platform(normal), platform(text));
        }
        assert_eq!(platform(&Platform::host().to_string()), Platform::host());
    }

    #[test]
    fn refuses_the_rest() {
        let long = "a".repeat(33);
        for text in [
            "",
            "/",
            "linux/",
            "/amd64",
            "linux/arm/",
            "linux/arm/v7/x",
            "linux",
            "pdp11",
            "linux/am d64",
            "linux/amd64\0",
            "linux/ä",
            &long,
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn ranks() {
        for (host, image, rank) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/amd64/v3", "linux/amd64", Some(20)),
            ("linux/arm/v7", "linux/arm/v6", Some(10)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm64", "linux/arm64/v8.1", None),
            ("linux/arm64/v9", "linux/arm64", Some(10)),
            ("linux/riscv64", "linux/riscv64/rva23", None),
            ("linux/amd64/vx", "linux/amd64", None),
        ] {
            assert_eq!(platform(host).rank(&platform(image)), rank, "{host} {image}");
        }
        let images = ["linux/arm64", "linux/arm/v5", "linux/arm/v6", "linux/arm/v6"].map(platform);
        assert_eq!(platform("linux/arm/v7").best(&images), Some(2));
        assert_eq!(platform("linux/s390x").best(&images), None);
    }
}
