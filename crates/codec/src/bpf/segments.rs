//! Policies by call number: ranges with the same outcome.

use super::arch::{Arch, COMMON, X32_BIT};
use super::compile::CompileError;
use super::policy::{Action, Cmp, Policy, Rule};
use super::{MAX_INSNS, multiplexed};
use std::collections::{BTreeMap, BTreeSet};

/// A rule with conditions, as far as it matters for one number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Link<'a> {
    pub(super) any_of: &'a [Vec<Cmp>],
    pub(super) action: Action,
}

/// What happens with one call number.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    Act(Action),
    /// Rules in order and what to do if none matches.
    Chain {
        links: Vec<Link<'a>>,
        last: Action,
        /// Whether arguments have 32 bits.
        narrow: bool,
    },
}

/// Numbers that follow one another and have the same outcome.
pub(super) struct Segment<'a> {
    pub(super) start: u32,
    /// The number that comes after.
    pub(super) end: u32,
    pub(super) outcome: Outcome<'a>,
}

impl Segment<'_> {
    /// How much a short path to it is worth.
    ///
    /// When a filter is loaded the kernel runs it once for each number, to know which calls it
    /// always allows (Linux 5.11); those it never asks about again. What depends on arguments it
    /// asks about at each call.
    pub(super) fn weight(&self) -> u64 {
        let numbers = self.end.min(COMMON) - self.start.min(COMMON);
        let asked = if matches!(self.outcome, Outcome::Chain { .. }) { 32 } else { 0 };
        u64::from(numbers) + asked + 1
    }
}

/// An interface of a policy with the rules that follow those of the policy there.
pub(super) struct Interface {
    pub(super) arch: Arch,
    multiplexed: Vec<Rule>,
}

impl Interface {
    pub(super) fn of(policy: &Policy, arch: Arch) -> Self {
        Self { arch, multiplexed: multiplexed::rules(policy, arch) }
    }
}

/// What to do with each number of the interfaces that share an `AUDIT_ARCH_*` value.
pub(super) fn segments<'a>(
    policy: &'a Policy,
    interfaces: &'a [Interface],
    audit: u32,
) -> Result<Vec<Segment<'a>>, CompileError> {
    let has = |arch| interfaces.iter().any(|interface| interface.arch == arch);
    let mut starts = BTreeMap::from([(0, Outcome::Act(policy.default))]);
    if audit == Arch::X86_64.audit() {
        starts.insert(X32_BIT, Outcome::Act(policy.bad_arch));
        if !has(Arch::X86_64) {
            starts.insert(0, Outcome::Act(policy.bad_arch));
        }
    }
    for interface in interfaces.iter().filter(|interface| interface.arch.audit() == audit) {
        number(policy, interface, &mut starts)?;
    }
    // What a tracer sets to skip a call is no call of any interface.
    starts.insert(u32::MAX, Outcome::Act(policy.unknown));
    Ok(merged(starts))
}

fn merged(starts: BTreeMap<u32, Outcome<'_>>) -> Vec<Segment<'_>> {
    let mut merged: Vec<Segment<'_>> = Vec::new();
    for (start, outcome) in starts {
        match merged.last_mut() {
            Some(last) if last.outcome == outcome => {}
            last => {
                if let Some(last) = last {
                    last.end = start;
                }
                merged.push(Segment { start, end: u32::MAX, outcome });
            }
        }
    }
    merged
}

/// Enters the numbers of an interface.
fn number<'a>(
    policy: &'a Policy,
    interface: &'a Interface,
    starts: &mut BTreeMap<u32, Outcome<'a>>,
) -> Result<(), CompileError> {
    let Interface { arch, multiplexed } = interface;
    let bit = if *arch == Arch::X32 { X32_BIT } else { 0 };
    starts.insert(bit, Outcome::Act(policy.default));
    let newest = policy.newest(*arch).map(|newest| newest | bit);
    if let Some(newest) = newest {
        starts.insert(newest + 1, Outcome::Act(policy.unknown));
    }
    let mut outcomes: BTreeMap<u32, Outcome<'a>> =
        arch.table().values().map(|number| (*number, Outcome::Act(policy.default))).collect();
    // A call that is newer than the policy and in the tables all the same.
    let is_newer = |number: u32| newest.is_some_and(|n| number > n) && number & !bit < COMMON;
    outcomes.retain(|number, _| !is_newer(*number));
    decide(&mut outcomes, policy.rules.iter().chain(multiplexed), *arch)?;
    // The number after a call belongs to the gap there, unless it is a call as well.
    for number in outcomes.keys() {
        let gap = match newest {
            Some(newest) if *number > newest => policy.unknown,
            _ => policy.default,
        };
        starts.entry(number + 1).or_insert(Outcome::Act(gap));
    }
    starts.extend(outcomes);
    Ok(())
}

fn decide<'a>(
    outcomes: &mut BTreeMap<u32, Outcome<'a>>,
    rules: impl Iterator<Item = &'a Rule>,
    arch: Arch,
) -> Result<(), CompileError> {
    let (table, narrow) = (arch.table(), arch.word() != u64::MAX);
    let mut decided: BTreeSet<u32> = BTreeSet::new();
    for rule in rules {
        let numbers = rule.names.iter().filter_map(|name| table.get(name.as_str()));
        let numbers: BTreeSet<u32> = numbers.copied().collect();
        for number in numbers.into_iter().filter(|number| !decided.contains(number)) {
            if let Some(outcome) = outcomes.get_mut(&number) {
                add(outcome, rule, narrow)?;
            }
        }
        if rule.any_of.is_empty() {
            decided.extend(rule.names.iter().filter_map(|name| table.get(name.as_str())));
        }
    }
    Ok(())
}

fn add<'a>(outcome: &mut Outcome<'a>, rule: &'a Rule, narrow: bool) -> Result<(), CompileError> {
    let link = Link { any_of: &rule.any_of, action: rule.action };
    match outcome {
        Outcome::Act(last) | Outcome::Chain { last, .. } if rule.any_of.is_empty() => {
            *last = rule.action;
        }
        Outcome::Act(last) => *outcome = Outcome::Chain { links: vec![link], last: *last, narrow },
        Outcome::Chain { links, .. } => {
            links.push(link);
            // Each takes a load and a jump at least.
            if links.len() > MAX_INSNS / 2 {
                return Err(CompileError::TooLong(2 * links.len()));
            }
        }
    }
    Ok(())
}
