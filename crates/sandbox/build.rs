//! Packs the names of constants: as strings they would take five times the space.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

/// The text that is packed.
const TEXT: &str = "src/policy/constants.txt";
/// Added to a name's length if two values follow.
const DIFFERS: u8 = 0x80;

/// An entry is: how many bytes the name shares with the one before, how many more it has, these, and the
/// value; where architectures differ, a value each, as [`optional`].
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={TEXT}");
    let text = fs::read_to_string(TEXT)?;
    let (mut packed, mut before) = (Vec::new(), "");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let name = words.next().ok_or("a line without a name")?;
        let values: Vec<_> = words.collect();
        let shared = name.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
        let suffix = name.as_bytes().get(shared..).unwrap_or_default();
        let length = u8::try_from(suffix.len())?;
        packed.push(u8::try_from(shared)?);
        match values.as_slice() {
            [value] => {
                packed.push(length);
                packed.extend(suffix);
                number(&mut packed, value.parse()?);
            }
            [first, second] => {
                packed.push(length | DIFFERS);
                packed.extend(suffix);
                optional(&mut packed, first)?;
                optional(&mut packed, second)?;
            }
            _ => return Err(format!("`{line}` has no value or too many").into()),
        }
        before = name;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("constants.bin"), packed)?;
    Ok(())
}

/// A byte that tells whether a value follows.
fn optional(packed: &mut Vec<u8>, word: &str) -> Result<(), Box<dyn Error>> {
    packed.push(u8::from(word != "-"));
    if word != "-" {
        number(packed, word.parse()?);
    }
    Ok(())
}

/// Seven bits a byte, the lowest first; the sign is the lowest bit of all.
fn number(packed: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest > 0x7f {
        packed.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    packed.push(rest as u8);
}
