//! Which of a profile's rules and architectures count: all of a specification's, those of Docker's
//! profiles that apply to the machine and the process.

use creel_codec::bpf::arch::Arch;

use super::names::interface;
use crate::spec::{ArchMap, Condition, Seccomp, SyscallRule};

/// A profile without conditions on where it is used.
pub(super) struct Source<'a> {
    pub(super) profile: &'a Seccomp,
    /// Architectures besides the machine's own.
    pub(super) architectures: Vec<&'a String>,
    /// The rules, each with its place in the profile.
    pub(super) rules: Vec<(usize, &'a SyscallRule)>,
}

impl<'a> Source<'a> {
    /// That of `linux.seccomp`, to which Docker's conditions are unknown properties.
    pub(super) fn specified(profile: &'a Seccomp) -> Self {
        Self {
            profile,
            architectures: profile.architectures.iter().collect(),
            rules: profile.syscalls.iter().enumerate().collect(),
        }
    }

    /// That of one of Docker's profiles.
    pub(super) fn dockers(
        profile: &'a Seccomp,
        native: Arch,
        has_cap: &dyn Fn(&str) -> bool,
    ) -> Self {
        let own = |map: &&ArchMap| interface(&map.architecture) == Some(native);
        let mapped = profile.arch_map.iter().find(own).map(|map| &map.sub_architectures);
        let mut source = Self::specified(profile);
        source.architectures.extend(mapped.into_iter().flatten());
        source.rules.retain(|(_, rule)| applies(rule, native, has_cap));
        source
    }
}

/// Kernels older than 5.x, which `minKernel` is about, have none of what creel needs.
fn applies(rule: &SyscallRule, native: Arch, has_cap: &dyn Fn(&str) -> bool) -> bool {
    let serves =
        |name: &String| interface(name).is_some_and(|arch| native.family().contains(&arch));
    let Condition { caps, arches, .. } = &rule.includes;
    let included =
        caps.iter().all(|cap| has_cap(cap)) && (arches.is_empty() || arches.iter().any(serves));
    let Condition { caps, arches, .. } = &rule.excludes;
    included && !caps.iter().any(|cap| has_cap(cap)) && !arches.iter().any(serves)
}

/// The names of a rule, Docker's older way included.
pub(super) fn names(rule: &SyscallRule) -> impl Iterator<Item = &String> {
    rule.names.iter().chain(&rule.name)
}
