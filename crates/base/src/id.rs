//! Random ids, made-up names, and which names a container may have.

use core::fmt;
use core::str::FromStr;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::digest::ObjectId;

/// Hex digits of the form in which people see an id.
pub const SHORT: usize = 12;
/// Most bytes of a container's name; it becomes a file name and a host name.
pub const MAX_NAME: usize = 128;

/// 256 random bits, written as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(ObjectId);

/// The kernel gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot get random bytes from the kernel")]
pub struct RandomError(#[source] Errno);

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id is not 64 lower-case hex digits")]
pub struct ParseIdError;

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "name `{name}` is not 1 to {MAX_NAME} letters, digits, `_`, `.` or `-`, the first a letter or digit"
)]
pub struct NameError {
    /// The name, cut to [`MAX_NAME`] characters.
    pub name: String,
}

impl Id {
    /// Makes a new id.
    ///
    /// # Errors
    /// [`RandomError`] on kernels without getrandom(2).
    pub fn random() -> Result<Self, RandomError> {
        random_bytes().map(|bytes| Self(ObjectId(bytes)))
    }

    /// Returns the first 12 digits.
    pub fn short(&self) -> String {
        let mut hex = self.0.hex();
        hex.truncate(SHORT);
        hex
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        ObjectId::from_hex(text).map(Self).ok_or(ParseIdError)
    }
}

/// Returns random bytes from the kernel's generator.
///
/// # Errors
/// [`RandomError`] on kernels without getrandom(2).
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(RandomError(errno)),
        }
    }
    Ok(bytes)
}

/// Makes up a name such as `quiet_heron`: one of 4,096. The caller tries again if it is taken.
///
/// # Errors
/// [`RandomError`] on kernels without getrandom(2).
pub fn random_name() -> Result<String, RandomError> {
    let [first, second] = random_bytes()?;
    let pick = |words: &[&'static str; 64], byte: u8| words[usize::from(byte % 64)];
    Ok(format!("{}_{}", pick(&ADJECTIVES, first), pick(&NOUNS, second)))
}

/// Checks that a name may be a container's: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
///
/// # Errors
/// [`NameError`], which holds the name.
pub fn check_name(name: &str) -> Result<&str, NameError> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && name.bytes().all(inner) && name.len() <= MAX_NAME {
        Ok(name)
    } else {
        Err(NameError { name: name.chars().take(MAX_NAME).collect() })
    }
}

#[rustfmt::skip]
const ADJECTIVES: [&str; 64] = [
    "agile", "amber", "ample", "apt", "azure", "balmy", "bold", "brave", "breezy", "brief", "bright",
    "brisk", "calm", "candid", "civil", "clear", "clever", "coral", "cosy", "crisp", "daring", "deft",
    "dewy", "eager", "early", "even", "fair", "fond", "frank", "fresh", "gentle", "glad", "golden",
    "handy", "hardy", "honest", "jolly", "keen", "kind", "light", "lively", "loyal", "lucid", "mellow",
    "merry", "mild", "misty", "neat", "nimble", "noble", "plain", "polite", "proud", "quick", "quiet",
    "rapid", "ready", "silver", "sound", "spry", "steady", "sunny", "swift", "warm",
];

#[rustfmt::skip]
const NOUNS: [&str; 64] = [
    "alder", "anchor", "aspen", "badger", "basket", "beacon", "birch", "bobbin", "brook", "canoe",
    "cedar", "cove", "crane", "creek", "curlew", "delta", "dinghy", "dune", "eider", "elm", "ferry",
    "finch", "fjord", "gull", "harbour", "hazel", "heron", "inlet", "island", "jetty", "kelp", "lagoon",
    "lantern", "larch", "linnet", "lobster", "maple", "marsh", "meadow", "mussel", "oar", "osprey",
    "otter", "oyster", "pebble", "perch", "pier", "pike", "plover", "puffin", "quay", "reed", "reef",
    "rudder", "salmon", "shoal", "sparrow", "tern", "tide", "trout", "wharf", "wicker", "willow", "wren",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_read_back() {
        let id = Id::random().expect("random bytes");
        assert_ne!(id, Id::random().expect("random bytes"));
        assert_eq!(id.to_string().len(), 64);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.short().len() == SHORT && id.to_string().starts_with(&id.short()));
        for text in ["", "abc", &"g".repeat(64), &"A".repeat(64)] {
            assert_eq!(text.parse::<Id>(), Err(ParseIdError));
        }
    }

    #[test]
    fn words_are_distinct_and_make_names() {
        for words in [ADJECTIVES, NOUNS] {
            let mut sorted = words.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 64);
            assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
        }
        assert!(check_name(&random_name().expect("random bytes")).is_ok());
    }

    #[test]
    fn names() {
        for name in ["a", "0", "Web-1.2_x", &"a".repeat(MAX_NAME)] {
            assert_eq!(check_name(name), Ok(name));
        }
        for name in ["", ".", "..", "-a", "_a", "a/b", "a b", "a\0", "ä", "a\n", &"a".repeat(129)]
        {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
