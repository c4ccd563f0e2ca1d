//! Whether a program is linked statically.

/// The most bytes of a program that are looked at.
pub(super) const LOOKED_AT: usize = 64 << 10;
const PT_INTERP: u32 = 3;

/// How a program comes to its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linkage {
    /// By another program that the kernel executes first; a script too.
    Dynamic,
    /// It has none.
    Static,
    /// The file is no program of 64 bits, or a damaged one.
    Unknown,
}

/// Looks at the beginning of a file.
pub(super) fn linkage(bytes: &[u8]) -> Linkage {
    if !bytes.starts_with(b"\x7fELF") {
        return Linkage::Dynamic;
    }
    // Class and byte order: what can be executed here is little-endian.
    let Some([class, 1]) = bytes.get(4..6) else { return Linkage::Unknown };
    let wide = match class {
        1 => false,
        2 => true,
        _ => return Linkage::Unknown,
    };
    program_headers(bytes, wide).unwrap_or(Linkage::Unknown)
}

/// Source: `elf(5)`.
fn program_headers(bytes: &[u8], wide: bool) -> Option<Linkage> {
    let (begin, size, count) = match wide {
        true => (word(bytes, 32, 8)?, word(bytes, 54, 2)?, word(bytes, 56, 2)?),
        false => (word(bytes, 28, 4)?, word(bytes, 42, 2)?, word(bytes, 44, 2)?),
    };
    for index in 0..count {
        let at = begin.checked_add(index.checked_mul(size)?)?;
        if word(bytes, at, 4)? == u64::from(PT_INTERP) {
            return Some(Linkage::Dynamic);
        }
    }
    Some(Linkage::Static)
}

fn word(bytes: &[u8], at: u64, length: usize) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let found = bytes.get(at..at.checked_add(length)?)?;
    let mut word = [0; 8];
    word.get_mut(..length)?.copy_from_slice(found);
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = kinds.len() as u8;
        for kind in kinds {
            let mut header = kind.to_le_bytes().to_vec();
            header.resize(56, 0);
            bytes.extend(header);
        }
        bytes
    }

    #[test]
    fn an_interpreter_makes_a_program_dynamic() {
        assert_eq!(linkage(&program(&[6, 3, 1])), Linkage::Dynamic);
        assert_eq!(linkage(&program(&[6, 1])), Linkage::Static);
        assert_eq!(linkage(b"#!/bin/sh\n"), Linkage::Dynamic);
        assert_eq!(linkage(b"\x7fELF"), Linkage::Unknown);
        let mut damaged = program(&[6]);
        damaged[39] = 0xff;
        assert_eq!(linkage(&damaged), Linkage::Unknown);
    }
}
