//! Compiles the default system call filter for the usual sets of capabilities, so that no start of
//! a container reads the system call tables.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::profile::{self, Profile};

/// Those of the default capabilities that the profile asks for: with any other of them the filter
/// is the same.
const DEFAULT: [&str; 1] = ["CAP_SYS_CHROOT"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let profile = Profile::parse(profile::DEFAULT)?;
    let machine = env::var("CARGO_CFG_TARGET_ARCH")?;
    let arch = Arch::ALL.into_iter().find(|arch| arch.name() == machine);
    let asked: BTreeSet<String> = profile.capabilities().map(String::from).collect();
    let mut text = String::new();
    writeln!(text, "/// The capabilities that the default profile asks for.")?;
    writeln!(text, "pub(super) const ASKED: &[&str] = &{:?};", Vec::from_iter(&asked))?;
    for (name, held) in [("WITH_DEFAULT", &DEFAULT[..]), ("WITHOUT", &[])] {
        // Other machines compile at run time.
        let program = match arch {
            Some(arch) => profile::compile(&profile, &|cap| held.contains(&cap), arch)?,
            None => Vec::new(),
        };
        let program: Vec<_> =
            program.iter().map(|insn| (insn.code, insn.jt, insn.jf, insn.k)).collect();
        writeln!(text, "/// For processes with `{held:?}` of those.")?;
        writeln!(text, "pub(super) const {name}_CAPABILITIES: &[&str] = &{held:?};")?;
        writeln!(text, "/// Its program.")?;
        writeln!(text, "pub(super) static {name}: &[(u16, u8, u8, u32)] = &{program:?};")?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("seccomp.rs"), text)?;
    Ok(())
}
