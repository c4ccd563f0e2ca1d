//! Choosing the image for a platform out of an index.

use creel_base::hint::Hint;
use creel_base::media_type::MediaType;
use creel_base::platform::Platform;

use crate::document::{Descriptor, Index};

/// Most platforms that an error lists.
const MAX_LISTED: usize = 16;

/// Why an index has nothing to offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// None of its images runs on the platform.
    #[error("image is not available for `{wanted}`")]
    NoMatch {
        /// The platform.
        wanted: Platform,
        /// What there is, in the order of the index, each once, at most 16.
        available: Vec<Platform>,
    },
    /// Several images say nothing of their platform.
    #[error("index has {count} images without a platform, and nothing tells which is meant")]
    Undecided {
        /// How many.
        count: usize,
    },
}

impl Hint for SelectError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoMatch { available, .. } if available.is_empty() => None,
            Self::NoMatch { available, .. } => {
                let names: Vec<_> = available.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("choose one of the platforms {}", names.join(", ")))
            }
            Self::Undecided { .. } => Some("name the image by its digest".into()),
        }
    }
}

/// Returns the manifest, or nested index, that suits `wanted` best: the same variant, else the
/// highest below it, and the first of equals.
///
/// An entry without a platform is taken if nothing else is there to choose. What a descriptor of a
/// nested index leads to is for the caller to read, to a depth of its choice.
///
/// # Errors
/// [`SelectError`].
pub fn select<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Descriptor, SelectError> {
    let readable = |entry: &&Descriptor| {
        matches!(entry.media_type, MediaType::Manifest(_) | MediaType::Index(_))
    };
    let images = || index.manifests.iter().filter(readable);
    let placed: Vec<_> = images().filter_map(|entry| Some((entry, platform(entry)?))).collect();
    if let Some((entry, _)) =
        wanted.best(placed.iter().map(|(_, platform)| platform)).and_then(|place| placed.get(place))
    {
        return Ok(entry);
    }
    let mut unplaced = images().filter(|entry| entry.platform.is_none());
    match (placed.is_empty(), unplaced.next(), unplaced.count()) {
        (true, Some(only), 0) => Ok(only),
        (true, Some(_), more) => Err(SelectError::Undecided { count: more.saturating_add(1) }),
        _ => Err(no_match(wanted, placed.into_iter().map(|(_, platform)| platform))),
    }
}

/// Returns what an image runs on; `None` also for `unknown`, as BuildKit marks attestations.
fn platform(entry: &Descriptor) -> Option<Platform> {
    let platform = entry.platform.as_ref()?.platform().ok()?;
    (platform.os() != "unknown").then_some(platform)
}

fn no_match(wanted: &Platform, platforms: impl Iterator<Item = Platform>) -> SelectError {
    let mut available = Vec::new();
    for platform in platforms {
        if available.len() < MAX_LISTED && !available.contains(&platform) {
            available.push(platform);
        }
    }
    SelectError::NoMatch { wanted: wanted.clone(), available }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::DescriptorPlatform;
    use creel_base::media_type::Family;

    fn index(platforms: &[&str]) -> Index {
        let entry = |(place, text): (usize, &&str)| {
            let kind = MediaType::Manifest(Family::Oci);
            let mut entry = Descriptor::of(kind, &[u8::try_from(place).unwrap()]);
            let mut parts = text.split('/').map(str::to_owned);
            entry.platform =
                parts.next().filter(|os| !os.is_empty()).map(|os| DescriptorPlatform {
                    os,
                    architecture: parts.next().unwrap_or_default(),
                    variant: parts.next(),
                    ..DescriptorPlatform::default()
                });
            entry
        };
        Index {
            schema_version: 2,
            media_type: None,
            artifact_type: None,
            manifests: platforms.iter().enumerate().map(entry).collect(),
            subject: None,
            annotations: std::collections::BTreeMap::new(),
            unknown: crate::document::Unknown::new(),
        }
    }

    #[test]
    fn picks_the_best() {
        let cases: [(&[&str], &str, Option<usize>); 9] = [
            (&["linux/arm64", "linux/amd64"], "linux/amd64", Some(1)),
            (&["linux/x86_64"], "linux/amd64", Some(0)),
            (&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", Some(1)),
            (&["linux/arm64/v8"], "linux/arm64", Some(0)),
            (&["linux/arm/v7"], "linux/arm/v6", None),
            (&["unknown/unknown", "linux/amd64"], "linux/arm64", None),
            (&["", "unknown/unknown"], "linux/arm64", Some(0)),
            (&["", ""], "linux/arm64", None),
            (&[], "linux/arm64", None),
        ];
        for (platforms, wanted, expected) in cases {
            let index = index(platforms);
            let found = select(&index, &wanted.parse().unwrap()).ok();
            assert_eq!(found, expected.map(|place| &index.manifests[place]), "{platforms:?}");
        }
    }

    #[test]
    fn lists_what_there_is() {
        let index = index(&["linux/arm64", "linux/arm64/v8", "windows/amd64", "unknown/unknown"]);
        let error = select(&index, &"linux/amd64".parse().unwrap()).unwrap_err();
        let hint = "choose one of the platforms `linux/arm64`, `windows/amd64`";
        assert_eq!(error.hint().as_deref(), Some(hint));
    }
}
