//! Digests as OCI writes them, and the hasher that makes them.
//!
//! Source: OCI image specification 1.1, `descriptor.md#digests`. Only the registered algorithms
//! sha256 and sha512 are accepted, in lower case and in full length, because a digest becomes a
//! file name (CVE-2024-3727 was a digest that had not been checked).

use core::fmt;
use core::str::FromStr;

use sha2::Digest as _;

/// Bytes that fit the first data cache, which has 32 KiB or more, beside what else is in use.
const CACHED: usize = 16 << 10;

/// A hash algorithm registered by the OCI image specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Returns the name used before the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the length of the hash in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no hash is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A verified-in-form digest: `sha256:` and 64 hex digits, or `sha512:` and 128.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// The hash; bytes past the algorithm's length are zero.
    bytes: [u8; 64],
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    /// There is no `algorithm:` in front.
    #[error("digest has no algorithm: expected `sha256:` and 64 hex digits")]
    NoAlgorithm,
    /// The algorithm is not one creel verifies.
    #[error("digest algorithm is not supported: only sha256 and sha512 are")]
    UnknownAlgorithm,
    /// The hash has the wrong length for its algorithm.
    #[error("digest has {found} digits where {algorithm} has {expected}", algorithm = .algorithm.name())]
    WrongLength {
        /// The algorithm named by the digest.
        algorithm: Algorithm,
        /// How many hex digits it should have.
        expected: usize,
        /// How many bytes of text there were.
        found: usize,
    },
    /// A character is not a lower-case hex digit.
    #[error("digest has a character that is not a lower-case hex digit")]
    NotHex,
}

impl Digest {
    /// Hashes `data` with sha256.
    pub fn sha256(data: &[u8]) -> Self {
        ObjectId::of(data).into()
    }

    /// Returns the algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the hash itself: 32 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }

    /// Returns the hash as lower-case hex, without the algorithm.
    pub fn hex(&self) -> String {
        to_hex(self.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text.split_once(':').ok_or(ParseDigestError::NoAlgorithm)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(ParseDigestError::UnknownAlgorithm),
        };
        let expected = algorithm.len() * 2;
        if hex.len() != expected {
            return Err(ParseDigestError::WrongLength { algorithm, expected, found: hex.len() });
        }
        let mut bytes = [0; 64];
        from_hex(hex.as_bytes(), &mut bytes[..algorithm.len()]).ok_or(ParseDigestError::NotHex)?;
        Ok(Self { algorithm, bytes })
    }
}

/// The sha256 by which the store names an object or a tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ObjectId(pub [u8; 32]);

impl ObjectId {
    /// Hashes `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }

    /// Returns 64 lower-case hex digits.
    pub fn hex(&self) -> String {
        to_hex(&self.0)
    }

    /// Reads 64 lower-case hex digits; `None` for anything else.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        from_hex(hex.as_bytes(), &mut bytes)?;
        Some(Self(bytes))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ObjectId> for Digest {
    fn from(id: ObjectId) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&id.0);
        Self { algorithm: Algorithm::Sha256, bytes }
    }
}

impl TryFrom<Digest> for ObjectId {
    type Error = Digest;

    /// Fails with the digest itself when it is not sha256.
    fn try_from(digest: Digest) -> Result<Self, Digest> {
        match digest.algorithm {
            Algorithm::Sha256 => {
                let mut bytes = [0; 32];
                bytes.copy_from_slice(digest.as_bytes());
                Ok(Self(bytes))
            }
            Algorithm::Sha512 => Err(digest),
        }
    }
}

/// A running hash.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// Starts a hash.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::new(sha2::Sha512::new())),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(data),
            State::Sha512(state) => state.update(data),
        }
    }

    /// Adds the same bytes to this hash and to another one, in pieces that stay in the processor's
    /// nearest cache from the first to the second.
    pub fn update_both(&mut self, other: &mut Self, data: &[u8]) {
        for piece in data.chunks(CACHED) {
            self.update(piece);
            other.update(piece);
        }
    }

    /// Ends the hash.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 64];
        let algorithm = match self.0 {
            State::Sha256(state) => {
                bytes[..32].copy_from_slice(&state.finalize());
                Algorithm::Sha256
            }
            State::Sha512(state) => {
                bytes.copy_from_slice(&state.finalize());
                Algorithm::Sha512
            }
        };
        Digest { algorithm, bytes }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Fills `out` from exactly twice as many lower-case hex digits.
fn from_hex(hex: &[u8], out: &mut [u8]) -> Option<()> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if hex.len() != out.len() * 2 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_the_standard_vectors() {
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::sha256(b"abc").to_string(), abc);
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"ab");
        hasher.update(b"c");
        assert!(hasher.finish().hex().starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn reads_back_what_it_writes() {
        let digest = Digest::sha256(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(ObjectId::try_from(digest).map(Digest::from), Ok(digest));
    }

    #[test]
    fn refuses_what_could_be_a_path() {
        for text in [
            "",
            "sha256",
            "sha256:",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha256:../../../../../../../../../../../../../../../../../../../../../etc/passwd",
            "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
