//! Policies read plainly, one rule after the other: what compiled ones are compared with.

use super::arch::{Arch, COMMON, X32_BIT};
use super::multiplexed;
use super::policy::{Action, Policy, Rule};
use super::run::Data;

/// What a policy does with a call.
#[must_use]
pub fn decide(policy: &Policy, data: &Data) -> Action {
    if !policy.arches.iter().any(|arch| arch.audit() == data.arch) {
        return policy.bad_arch;
    }
    // What a tracer sets to skip a call is no call of any interface.
    if data.nr == u32::MAX {
        return policy.unknown;
    }
    let x32 = data.arch == Arch::X86_64.audit() && data.nr >= X32_BIT;
    let serves = |arch: &&Arch| arch.audit() == data.arch && (**arch == Arch::X32) == x32;
    match policy.arches.iter().find(serves) {
        Some(arch) => on(policy, *arch, data),
        None => policy.bad_arch,
    }
}

fn on(policy: &Policy, arch: Arch, data: &Data) -> Action {
    let is_named = |rule: &Rule| rule.calls.iter().any(|call| call.number(arch) == Some(data.nr));
    let bit = arch.bit();
    let is_newer = policy.newest(arch).is_some_and(|newest| data.nr > newest | bit);
    let is_own = data.nr & !bit >= COMMON && arch.numbers().any(|number| number == data.nr);
    if is_newer && !is_own {
        return policy.unknown;
    }
    let derived = multiplexed::rules(policy, arch);
    let mut rules = policy.rules.iter().chain(&derived);
    let found = rules.find(|rule| is_named(rule) && rule.holds(&data.args, arch.word()));
    found.map_or(policy.default, |rule| rule.action)
}
