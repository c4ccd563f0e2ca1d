//! Policies by call number: ranges with the same outcome.

use super::arch::{Arch, COMMON};
use super::compile::CompileError;
use super::interface::Interface;
use super::policy::{Action, Cmp, Policy};

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

/// What to do with each number of the interfaces that share an `AUDIT_ARCH_*` value.
pub(super) fn segments<'a>(
    policy: &'a Policy,
    interfaces: &'a [Interface],
    audit: u32,
) -> Result<Vec<Segment<'a>>, CompileError> {
    let mut ranges = Ranges::default();
    // x32 comes after x86_64.
    for arch in Arch::ALL.into_iter().filter(|arch| arch.audit() == audit) {
        match interfaces.iter().find(|interface| interface.arch == arch) {
            Some(interface) => {
                interface.enter(policy, &mut |start, outcome| ranges.push(start, outcome))?
            }
            None => ranges.push(arch.bit(), Outcome::Act(policy.bad_arch)),
        }
    }
    // What a tracer sets to skip a call is no call of any interface.
    ranges.push(u32::MAX, Outcome::Act(policy.unknown));
    Ok(ranges.0)
}

/// Segments so far, each with another outcome than the one before.
#[derive(Default)]
struct Ranges<'a>(Vec<Segment<'a>>);

impl<'a> Ranges<'a> {
    /// From this number on, another outcome; numbers come in order.
    fn push(&mut self, start: u32, outcome: Outcome<'a>) {
        match self.0.last_mut() {
            Some(last) if last.outcome == outcome => return,
            Some(last) => last.end = start,
            None => {}
        }
        self.0.push(Segment { start, end: u32::MAX, outcome });
    }
}
