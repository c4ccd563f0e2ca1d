//! Merges the system call tables, so that no start of a container reads them.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// In the order of `Arch`.
const ARCHES: [&str; 6] = ["x86_64", "x32", "i386", "aarch64", "arm", "riscv64"];
/// Stands for no number.
const NONE: u32 = u32::MAX;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/bpf/tables");
    let mut calls: BTreeMap<String, [u32; 6]> = BTreeMap::new();
    for (index, arch) in ARCHES.iter().enumerate() {
        let text = fs::read_to_string(format!("src/bpf/tables/{arch}.txt"))?;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, number) = line.split_once(' ').ok_or("a line without a number")?;
            let numbers = calls.entry(name.to_owned()).or_insert([NONE; 6]);
            numbers[index] = number.parse()?;
        }
    }
    let mut text = String::new();
    writeln!(text, "/// Each call's name and its number on each interface, sorted by name.")?;
    writeln!(text, "static CALLS: [(&str, [u32; 6]); {}] = [", calls.len())?;
    for (name, numbers) in calls {
        writeln!(text, "({name:?}, {numbers:?}),")?;
    }
    writeln!(text, "];")?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("calls.rs"), text)?;
    Ok(())
}
