//! Picking images out of a list.

use core::str::FromStr;

use super::Image;

/// A condition on an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `name=PATTERN`: a name matches, with or without its tag, in full or as it is typed for
    /// Docker Hub. `*` stands for any characters.
    Name(String),
    /// `label=NAME` or `label=NAME=VALUE`.
    Label(String, Option<String>),
    /// `dangling=true`: it has no name. `dangling=false`: it has one.
    Dangling(bool),
}

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected name=PATTERN, label=NAME[=VALUE] or dangling=true|false")]
pub struct ParseFilterError;

impl FromStr for Filter {
    type Err = ParseFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or(ParseFilterError)?;
        match (key, value) {
            (_, "") => Err(ParseFilterError),
            ("name" | "reference", pattern) => Ok(Self::Name(pattern.to_owned())),
            ("label", label) => Ok(match label.split_once('=') {
                Some((name, value)) => Self::Label(name.to_owned(), Some(value.to_owned())),
                None => Self::Label(label.to_owned(), None),
            }),
            ("dangling", flag) => flag.parse().map(Self::Dangling).map_err(|_| ParseFilterError),
            _ => Err(ParseFilterError),
        }
    }
}

impl Filter {
    /// Returns whether it asks for images without names.
    pub const fn wants_dangling(&self) -> bool {
        matches!(self, Self::Dangling(true))
    }

    /// Returns whether an image meets the condition.
    pub fn matches(&self, image: &Image) -> bool {
        match self {
            Self::Name(pattern) => image.names.iter().any(|name| {
                let (full, familiar) = (name.to_string(), name.familiar());
                let untagged = |text: &str| match name.tag() {
                    Some(tag) => text.trim_end_matches(tag).trim_end_matches(':').to_owned(),
                    None => text.to_owned(),
                };
                let forms = [untagged(&full), untagged(&familiar), full, familiar];
                forms.iter().any(|form| glob(pattern.as_bytes(), form.as_bytes()))
            }),
            Self::Label(name, value) => {
                let found = image.config.config.labels.get(name);
                found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            }
            Self::Dangling(dangling) => image.names.is_empty() == *dangling,
        }
    }
}

/// Matches a pattern in which `*` stands for any bytes, in time that grows with the product of the
/// lengths at most.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_text) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at, in_text));
                at += 1;
            }
            Some(byte) if Some(byte) == text.get(in_text) => {
                at += 1;
                in_text += 1;
            }
            _ => {
                // The last star takes one byte more.
                let Some((star, taken)) = back else { return false };
                back = Some((star, taken + 1));
                (at, in_text) = (star + 1, taken + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_filters() {
        assert_eq!("name=a*".parse(), Ok(Filter::Name("a*".into())));
        assert_eq!("label=a=b=c".parse(), Ok(Filter::Label("a".into(), Some("b=c".into()))));
        assert_eq!("dangling=false".parse(), Ok(Filter::Dangling(false)));
        for bad in ["", "name", "name=", "dangling=no", "size=1"] {
            assert_eq!(bad.parse::<Filter>(), Err(ParseFilterError), "{bad}");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, matches) in [
            ("debian", "debian", true),
            ("debian", "debian:13", false),
            ("deb*", "debian:13", true),
            ("*13", "debian:13", true),
            ("*/x*", "q.io/a/x", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
    }
}
