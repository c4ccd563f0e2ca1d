//! What a policy does with each number of one interface.

use super::arch::{Arch, COMMON};
use super::compile::CompileError;
use super::policy::{Policy, Rule};
use super::segments::{Link, Outcome};
use super::{MAX_INSNS, multiplexed};
use std::collections::BTreeMap;

/// An interface of a policy with the rules that follow those of the policy there.
pub(super) struct Interface {
    pub(super) arch: Arch,
    multiplexed: Vec<Rule>,
}

impl Interface {
    pub(super) fn of(policy: &Policy, arch: Arch) -> Self {
        Self { arch, multiplexed: multiplexed::rules(policy, arch) }
    }

    /// Gives the outcome of numbers in their order, each until the next one.
    pub(super) fn enter<'a>(
        &'a self,
        policy: &'a Policy,
        enter: &mut dyn FnMut(u32, Outcome<'a>),
    ) -> Result<(), CompileError> {
        let mut numbers = Numbers::of(policy, self.arch);
        let narrow = self.arch.word() != u64::MAX;
        for rule in policy.rules.iter().chain(&self.multiplexed) {
            for number in rule.calls.iter().filter_map(|call| call.number(self.arch)) {
                if let Some(entry) = numbers.get_mut(number & !self.arch.bit()) {
                    entry.add(rule, narrow)?;
                }
            }
        }
        for (number, entry) in numbers.finish() {
            enter(number | self.arch.bit(), entry.outcome);
        }
        Ok(())
    }
}

/// The outcomes of an interface's numbers.
struct Numbers<'a> {
    policy: &'a Policy,
    newest: Option<u32>,
    common: Vec<Entry<'a>>,
    /// Of the calls above, which are few.
    own: BTreeMap<u32, Entry<'a>>,
}

impl<'a> Numbers<'a> {
    /// Those without a rule.
    fn of(policy: &'a Policy, arch: Arch) -> Self {
        let newest = policy.newest(arch);
        let default = |number| (number, Entry::of(Outcome::Act(policy.default)));
        let numbers = arch.numbers().map(|number| number & !arch.bit());
        let own = numbers.filter(|number| *number >= COMMON).map(default).collect();
        let mut made = Self { policy, newest, common: Vec::new(), own };
        made.common = (0..COMMON).map(|number| made.gap(number)).collect();
        made
    }

    fn is_newer(&self, number: u32) -> bool {
        self.newest.is_some_and(|newest| number > newest)
    }

    fn gap(&self, number: u32) -> Entry<'a> {
        let Policy { default, unknown, .. } = self.policy;
        Entry::of(Outcome::Act(if self.is_newer(number) { *unknown } else { *default }))
    }

    /// That of a call; none of one that is newer than the policy and in the tables all the same.
    fn get_mut(&mut self, number: u32) -> Option<&mut Entry<'a>> {
        if number >= COMMON {
            return self.own.get_mut(&number);
        }
        if self.is_newer(number) {
            return None;
        }
        self.common.get_mut(usize::try_from(number).ok()?)
    }

    /// All of them, and the gaps between calls of its own.
    fn finish(mut self) -> impl Iterator<Item = (u32, Entry<'a>)> {
        let behind: Vec<u32> = self.own.keys().map(|number| number + 1).collect();
        for number in behind.into_iter().chain([COMMON]) {
            let gap = self.gap(number);
            self.own.entry(number).or_insert(gap);
        }
        (0..).zip(self.common).chain(self.own)
    }
}

/// The outcome of a number so far.
struct Entry<'a> {
    outcome: Outcome<'a>,
    /// Whether no further rule counts.
    decided: bool,
}

impl<'a> Entry<'a> {
    const fn of(outcome: Outcome<'a>) -> Self {
        Self { outcome, decided: false }
    }

    fn add(&mut self, rule: &'a Rule, narrow: bool) -> Result<(), CompileError> {
        if self.decided {
            return Ok(());
        }
        let link = Link { any_of: &rule.any_of, action: rule.action };
        match &mut self.outcome {
            Outcome::Act(last) | Outcome::Chain { last, .. } if rule.any_of.is_empty() => {
                (*last, self.decided) = (rule.action, true);
            }
            Outcome::Act(last) => {
                self.outcome = Outcome::Chain { links: vec![link], last: *last, narrow };
            }
            // A rule may name a call twice.
            Outcome::Chain { links, .. } if links.last() == Some(&link) => {}
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
}
