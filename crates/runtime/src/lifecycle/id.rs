//! Names of containers.

use std::fmt;

use super::error::LifecycleError;

/// The longest name: it is a directory's.
const MAX: usize = 255;

/// The name of a container: letters, digits and `_+-.`, and no dot in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// Takes a name.
    ///
    /// # Errors
    /// [`LifecycleError::Id`].
    pub fn parse(text: &str) -> Result<Self, LifecycleError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        if text.is_empty() || text.len() > MAX || text.starts_with('.') || !text.chars().all(plain)
        {
            return Err(LifecycleError::Id { id: text.into() });
        }
        Ok(Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_component_of_a_path() {
        for good in ["a", "A_1+2-3.4", "-x"] {
            assert_eq!(ContainerId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".a", "a/b", "a b", "\u{e4}", "a\n", &"x".repeat(256)] {
            assert!(ContainerId::parse(bad).is_err(), "{bad}");
        }
    }
}
