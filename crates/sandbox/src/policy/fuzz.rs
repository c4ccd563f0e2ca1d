//! What the fuzz target does with a policy.

use std::io;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::call::Call;
use creel_codec::bpf::policy::Action;
use creel_codec::bpf::run::{Data, check, run};

use super::rules::{Rules, Test};
use super::{Files, Found, Meaning, Settings, Trace, bytes, compile, from_bytes, read};

/// The most calls that are tried.
const CALLS: usize = 2000;

/// A policy is refused, or is a program that the kernel takes and that decides about calls as the policy
/// says; what it includes is what follows a line of `%`.
///
/// # Panics
/// Panics where that does not hold.
#[doc(hidden)]
pub fn fuzz(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (policy, included) = text.split_once("\n%\n").unwrap_or((&text, ""));
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for (meaning, log) in [(Meaning::Launcher, false), (Meaning::Compiler, true)] {
            let settings = Settings { meaning, log, ..Settings::of(arch) };
            let mut files = Included(included);
            if let Ok(rules) = read("policy", policy, &settings, &mut files) {
                agree(&rules);
            }
        }
    }
    let mut trace = Trace::default();
    trace.add(&text);
    let settings = Settings { log: true, ..Settings::of(Arch::X86_64) };
    let made = trace.policy();
    // Names that other architectures have for a flag are no constants here.
    if let Ok(rules) = read("trace", &made, &settings, &mut Included("")) {
        agree(&rules);
    }
}

struct Included<'a>(&'a str);

impl Files for Included<'_> {
    fn read(&mut self, _: &str, path: &str) -> io::Result<Found> {
        Ok(Found { name: path.to_owned(), text: self.0.to_owned() })
    }
}

fn agree(rules: &Rules) {
    assert!(rules.explained().ends_with('\n'));
    let Ok(program) = compile(rules) else { return };
    assert!(check(&program));
    assert_eq!(from_bytes(&bytes(&program)).as_ref(), Some(&program));
    let tests = || rules.decisions.iter().flat_map(|decision| &decision.branches);
    let values = tests().flat_map(|branch| branch.any_of.iter().flatten()).flat_map(near);
    let values: Vec<u64> = [0, 1 << 32].into_iter().chain(values.take(CALLS)).collect();
    let arch = rules.arch;
    let calls = rules.decisions.iter().map(|decision| decision.call).chain(Call::find("getpid"));
    let calls: Vec<_> = calls.filter_map(|call| Some((call, call.number(arch)?))).collect();
    for index in 0..CALLS {
        let Some((call, nr)) = calls.get(index % calls.len().max(1)) else { return };
        let value = |at| values.get((index / calls.len() + at) % values.len());
        let args = std::array::from_fn(|at| value(at).copied().unwrap_or_default());
        let data = Data { nr: *nr, arch: arch.audit(), ip: 0, args };
        let decided = rules.decide(*call, &args).action.value();
        assert_eq!(run(&program, &data), Some(decided), "{} {args:?}", call.name());
    }
    let foreign = Data { nr: 0, arch: Arch::I386.audit(), ..Data::default() };
    assert_eq!(run(&program, &foreign), Some(Action::KillProcess.value()));
}

fn near(test: &Test) -> [u64; 4] {
    let value = test.value;
    [value, value.wrapping_add(1), value.wrapping_sub(1), value ^ 1 << 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_agree_and_are_read_as_named() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/seccomp_policy");
        let mut count = 0;
        for entry in std::fs::read_dir(seeds).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let input = std::fs::read(&path).unwrap();
            fuzz(&input);
            let text = String::from_utf8(input).unwrap();
            let (policy, included) = text.split_once("\n%\n").unwrap_or((&text, ""));
            let read = read("seed", policy, &Settings::of(Arch::X86_64), &mut Included(included));
            assert_eq!(read.is_ok(), !name.starts_with("bad_"), "{name}: {read:?}");
            count += 1;
        }
        assert!(count >= 12, "{count}");
    }
}
