//! Names for numbers.

use std::collections::HashMap;

use creel_codec::bpf::arch::Arch;

/// Made by `build.rs`, which says how.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/constants.bin"));
/// Added to a name's length if architectures differ.
const DIFFERS: u8 = 0x80;

/// The names that an architecture has, and their values.
#[derive(Debug)]
pub struct Constants(HashMap<String, u64>);

impl Constants {
    /// Those of an architecture.
    #[must_use]
    pub fn of(arch: Arch) -> Self {
        let mut reader = Reader { rest: PACKED, name: Vec::new(), arch };
        Self(
            std::iter::from_fn(|| reader.next())
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        )
    }

    /// The value of a name; negative ones fill all 64 bits.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// The name that is most like one that does not exist.
    #[must_use]
    pub fn similar(&self, name: &str) -> Option<&str> {
        let near = |known: &&String| known.len().abs_diff(name.len()) <= 2;
        let rated = self.0.keys().filter(near).map(|known| (changes(known, name), known));
        let (changes, known) = rated.min()?;
        (changes <= 2).then_some(known.as_str())
    }

    /// The name of an error number, if it has one.
    #[must_use]
    pub fn error(number: u16) -> Option<String> {
        let mut reader = Reader { rest: PACKED, name: Vec::new(), arch: Arch::X86_64 };
        let mut names = std::iter::from_fn(|| reader.next());
        let is_error = |name: &str| {
            name.starts_with('E')
                && !name.contains('_')
                && !name.starts_with("ECHO")
                && name != "EXTA"
        };
        let second = ["EWOULDBLOCK", "EDEADLOCK", "ENOTSUP", "EXTB", "EXTPROC"];
        names
            .find(|(name, value)| {
                *value == Some(number.into()) && is_error(name) && !second.contains(&name.as_str())
            })
            .map(|(name, _)| name)
    }
}

/// How many letters differ, by insertions, removals and replacements.
pub(super) fn changes(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, byte) in a.bytes().enumerate() {
        let mut above_left = index;
        let mut left = index + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(b) {
            let replaced = above_left + usize::from(byte != *other);
            above_left = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Walks through the packed names.
struct Reader {
    rest: &'static [u8],
    name: Vec<u8>,
    arch: Arch,
}

impl Reader {
    fn next(&mut self) -> Option<(String, Option<u64>)> {
        let shared = self.byte()?;
        let length = self.byte()?;
        self.name.truncate(shared.into());
        let (suffix, rest) = self.rest.split_at_checked((length & !DIFFERS).into())?;
        self.name.extend(suffix);
        self.rest = rest;
        let value = match length & DIFFERS {
            0 => Some(self.number()?),
            _ => {
                let values = [self.optional()?, self.optional()?];
                match self.arch {
                    Arch::X86_64 => values[0],
                    Arch::Aarch64 => values[1],
                    _ => None,
                }
            }
        };
        Some((String::from_utf8_lossy(&self.name).into_owned(), value))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn optional(&mut self) -> Option<Option<u64>> {
        if self.byte()? == 0 { Some(None) } else { self.number().map(Some) }
    }

    fn number(&mut self) -> Option<u64> {
        let mut folded = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            folded |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(folded >> 1 ^ (folded & 1).wrapping_neg());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_have_the_values_of_the_text() {
        let text = include_str!("constants.txt");
        for (arch, column) in [(Arch::X86_64, 1), (Arch::Aarch64, 2)] {
            let constants = Constants::of(arch);
            let mut count = 0;
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let words: Vec<_> = line.split(' ').collect();
                let word = words.get(column).or_else(|| words.get(1)).unwrap();
                let value = word.parse::<i64>().ok().map(i64::cast_unsigned);
                assert_eq!(constants.value(words[0]), value, "{line}");
                count += usize::from(value.is_some());
            }
            assert_eq!(constants.0.len(), count);
            assert!(count > 2000);
        }
    }

    #[test]
    fn values_are_those_of_the_headers() {
        let x86 = Constants::of(Arch::X86_64);
        let arm = Constants::of(Arch::Aarch64);
        assert_eq!(
            (x86.value("O_NOFOLLOW"), arm.value("O_NOFOLLOW")),
            (Some(0o40_0000), Some(0o10_0000))
        );
        assert_eq!((x86.value("MAP_32BIT"), arm.value("MAP_32BIT")), (Some(0x40), None));
        assert_eq!(x86.value("TIOCSTI"), Some(0x5412));
        assert_eq!(x86.value("SI_TKILL"), Some(6_u64.wrapping_neg()));
        assert_eq!(x86.value("PROT_EXECUTE"), None);
    }

    #[test]
    fn errors_have_their_usual_names() {
        let names = [1, 11, 13, 38, 95].map(|number| Constants::error(number).unwrap());
        assert_eq!(names, ["EPERM", "EAGAIN", "EACCES", "ENOSYS", "EOPNOTSUPP"]);
        assert_eq!(Constants::error(4000), None);
    }

    #[test]
    fn what_is_misspelt_is_found() {
        let constants = Constants::of(Arch::X86_64);
        assert_eq!(constants.similar("O_RDONY"), Some("O_RDONLY"));
        assert_eq!(constants.similar("PROT_EXCE"), Some("PROT_EXEC"));
        assert_eq!(constants.similar("NOTHING_LIKE_IT"), None);
    }
}
