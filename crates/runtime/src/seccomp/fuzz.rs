//! What the fuzz target does with a profile in JSON.

use std::collections::BTreeSet;

use creel_codec::bpf::arch::{Arch, X32_BIT};
use creel_codec::bpf::compile::compile;
use creel_codec::bpf::plain::decide;
use creel_codec::bpf::policy::{Cmp, Policy};
use creel_codec::bpf::run::{Data, check, run};

use super::source::Source;
use super::{json, remarks};
use crate::spec::Seccomp;

/// The most calls that are tried.
const CALLS: usize = 4000;

/// A profile is refused, has no program, or has one that the kernel takes and that decides about
/// calls as the profile's rules do one after the other.
///
/// # Panics
/// Panics where that does not hold.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(profile) = serde_json::from_slice::<Seccomp>(bytes) else { return };
    for native in [Arch::X86_64, Arch::Aarch64] {
        agree(&Source::specified(&profile), native);
        agree(&Source::dockers(&profile, native, &|_| true), native);
    }
}

fn agree(source: &Source<'_>, native: Arch) {
    let Ok(rules) = json::rules(source) else { return };
    let Ok(policy) = json::policy(source, &rules, native) else { return };
    let Ok(program) = compile(&policy) else { return };
    let _ = remarks::remarks(source);
    assert!(check(&program));
    for call in calls(&policy) {
        let decided = decide(&policy, &call).value();
        assert_eq!(run(&program, &call), Some(decided), "{call:?}");
    }
}

/// Calls that the policy is about and their neighbours, with arguments that its conditions are
/// about.
fn calls(policy: &Policy) -> impl Iterator<Item = Data> {
    let conditions = policy.rules.iter().flat_map(|rule| rule.any_of.iter().flatten());
    let arguments: Vec<u64> = [0, 1 << 32].into_iter().chain(conditions.flat_map(near)).collect();
    let numbers: Vec<_> = Arch::ALL.iter().flat_map(|arch| numbers(policy, *arch)).collect();
    let pairs = (0..CALLS).filter_map(move |index| {
        let (arch, nr) = *numbers.get(index % numbers.len())?;
        // Each argument another one of the values.
        let value = |at| arguments.get((index / numbers.len() + at) % arguments.len());
        let args = std::array::from_fn(|at| value(at).copied().unwrap_or_default());
        Some(Data { nr, arch, ip: 0, args })
    });
    pairs.collect::<Vec<_>>().into_iter()
}

fn near(cmp: &Cmp) -> [u64; 4] {
    [cmp.value, cmp.value.wrapping_add(1), cmp.value.wrapping_sub(1), cmp.value ^ 1 << 32]
}

fn numbers(policy: &Policy, arch: Arch) -> impl Iterator<Item = (u32, u32)> {
    let calls = policy.rules.iter().flat_map(|rule| &rule.calls);
    let named = calls.filter_map(|call| call.number(arch));
    let mut numbers: BTreeSet<u32> = named.take(100).collect();
    numbers.extend(["socketcall", "ipc"].iter().filter_map(|name| arch.number(name)));
    numbers.extend([0, 511, u32::MAX, X32_BIT, X32_BIT | 511]);
    let beside: Vec<u32> = numbers.iter().map(|number| number.wrapping_add(1)).collect();
    numbers.extend(beside);
    numbers.into_iter().map(move |number| (arch.audit(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_agree_and_are_read_as_named() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/seccomp_json");
        let mut count = 0;
        for entry in std::fs::read_dir(seeds).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::read(&path).unwrap();
            fuzz(&bytes);
            if name.starts_with("found-") {
                continue;
            }
            let read = serde_json::from_slice::<Seccomp>(&bytes);
            let fits = read.is_ok_and(|profile| super::super::remarks(&profile).is_ok());
            assert_eq!(fits, !name.starts_with("bad_"), "{name}");
            count += 1;
        }
        assert!(count >= 10);
    }
}
