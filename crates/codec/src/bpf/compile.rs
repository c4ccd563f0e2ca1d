//! Policies to programs: for each interface a balanced tree over the call numbers.
//!
//! Instructions are made last to first, so that each jump knows how far its target is.

use super::arch::{Arch, X32_BIT};
use super::policy::{Action, Cmp, Op, Policy};
use super::{AND, Insn, JA, JEQ, JGE, JGT, LD, MAX_INSNS, RET};
use creel_base::hint::Hint;
use std::collections::{BTreeMap, HashMap};

/// Why a policy has no program.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CompileError {
    /// The kernel takes [`MAX_INSNS`].
    #[error("the filter needs at least `{0}` instructions, the kernel takes `{MAX_INSNS}`")]
    TooLong(usize),
    /// Calls have six arguments.
    #[error("there is no argument `{0}`")]
    NoArgument(u8),
}

impl Hint for CompileError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooLong(_) => "put fewer conditions on arguments",
            Self::NoArgument(_) => "number the arguments from 0 to 5",
        };
        Some(hint.to_owned())
    }
}

/// What happens with one call number.
#[derive(Clone, PartialEq, Eq)]
enum Outcome<'a> {
    Act(Action),
    /// Rules in order and what to do if none matches.
    Chain(Vec<(&'a [Cmp], Action)>, Action),
}

/// A place in the program, counted from its end.
type Label = usize;

/// The program so far, last instruction first.
#[derive(Default)]
struct Reversed {
    insns: Vec<Insn>,
    returns: HashMap<Action, Label>,
}

impl Reversed {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.insns.push(Insn { code, jt, jf, k });
        self.insns.len() - 1
    }

    fn distance(&self, to: Label) -> usize {
        self.insns.len().saturating_sub(to + 1)
    }

    /// A return near enough for a jump to reach it.
    fn act(&mut self, action: Action) -> Label {
        match self.returns.get(&action) {
            // Some room for what comes between this and the jump.
            Some(&label) if self.distance(label) < 200 => label,
            _ => {
                let label = self.push(RET, 0, 0, action.value());
                self.returns.insert(action, label);
                label
            }
        }
    }

    /// A label that a conditional jump, placed at most two instructions later, can reach.
    fn near(&mut self, to: Label) -> Label {
        if self.distance(to) < 250 {
            return to;
        }
        let k = u32::try_from(self.distance(to)).unwrap_or(u32::MAX);
        self.push(JA, 0, 0, k)
    }

    fn jump(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let (yes, no) = (self.near(yes), self.near(no));
        let skip = |label| u8::try_from(self.distance(label)).unwrap_or(u8::MAX);
        let (jt, jf) = (skip(yes), skip(no));
        self.push(code, jt, jf, k)
    }

    fn load(&mut self, offset: u32) -> Label {
        self.push(LD, 0, 0, offset)
    }

    fn compare(&mut self, cmp: &Cmp, yes: Label, no: Label) -> Label {
        match cmp.op {
            Op::Eq => self.equal(cmp, u64::MAX, yes, no),
            Op::MaskedEq(mask) => self.equal(cmp, mask, yes, no),
            Op::Ne => self.equal(cmp, u64::MAX, no, yes),
            Op::Gt => self.order(cmp, JGT, yes, no),
            Op::Ge => self.order(cmp, JGE, yes, no),
            Op::Le => self.order(cmp, JGT, no, yes),
            Op::Lt => self.order(cmp, JGE, no, yes),
        }
    }

    fn equal(&mut self, cmp: &Cmp, mask: u64, yes: Label, no: Label) -> Label {
        let high = self.half(cmp, mask, 32, yes, no);
        self.half(cmp, mask, 0, high, no)
    }

    /// Compares the 32 bits of an argument from bit `shift` on.
    fn half(&mut self, cmp: &Cmp, mask: u64, shift: u32, yes: Label, no: Label) -> Label {
        self.jump(JEQ, (cmp.value >> shift) as u32, yes, no);
        let mask = (mask >> shift) as u32;
        if mask != u32::MAX {
            self.push(AND, 0, 0, mask);
        }
        self.load(low(cmp) + shift / 8)
    }

    fn order(&mut self, cmp: &Cmp, code: u16, yes: Label, no: Label) -> Label {
        let high = (cmp.value >> 32) as u32;
        self.jump(code, cmp.value as u32, yes, no);
        let lower = self.load(low(cmp));
        let same = self.jump(JEQ, high, lower, no);
        self.jump(JGT, high, yes, same);
        self.load(low(cmp) + 4)
    }

    fn outcome(&mut self, outcome: &Outcome<'_>) -> Label {
        match outcome {
            Outcome::Act(action) => self.act(*action),
            Outcome::Chain(rules, last) => {
                let mut next = self.act(*last);
                for (conditions, action) in rules.iter().rev() {
                    let mut yes = self.act(*action);
                    for cmp in conditions.iter().rev() {
                        yes = self.compare(cmp, yes, next);
                    }
                    next = yes;
                }
                next
            }
        }
    }

    fn tree(&mut self, segments: &[(u32, Outcome<'_>)]) -> Label {
        // Refused in the end: the rest would only take memory.
        if self.insns.len() > MAX_INSNS {
            return 0;
        }
        let (left, right) = segments.split_at(segments.len() / 2);
        match (left, right) {
            ([], [(_, only)]) => self.outcome(only),
            (_, [(start, _), ..]) => {
                let above = self.tree(right);
                let below = self.tree(left);
                self.jump(JGE, *start, above, below)
            }
            _ => 0,
        }
    }
}

/// The offset of an argument's low word in `seccomp_data`.
fn low(cmp: &Cmp) -> u32 {
    16 + 8 * u32::from(cmp.arg)
}

/// What to do with each number, from the number it starts at.
fn segments<'a>(policy: &'a Policy, audit: u32) -> Vec<(u32, Outcome<'a>)> {
    let mut starts = BTreeMap::from([(0, Outcome::Act(policy.default))]);
    if audit == Arch::X86_64.audit() {
        starts.insert(X32_BIT, Outcome::Act(policy.bad_arch));
    }
    if audit == Arch::X86_64.audit() && !policy.arches.contains(&Arch::X86_64) {
        starts.insert(0, Outcome::Act(policy.bad_arch));
    }
    for arch in policy.arches.iter().filter(|arch| arch.audit() == audit) {
        number(policy, *arch, &mut starts);
    }
    // What a tracer sets to skip a call is no call of any interface.
    starts.insert(u32::MAX, Outcome::Act(policy.unknown));
    let mut merged: Vec<(u32, Outcome<'a>)> = Vec::new();
    for (start, outcome) in starts {
        if merged.last().is_none_or(|(_, last)| *last != outcome) {
            merged.push((start, outcome));
        }
    }
    merged
}

fn number<'a>(policy: &'a Policy, arch: Arch, starts: &mut BTreeMap<u32, Outcome<'a>>) {
    let table = arch.table();
    if arch == Arch::X32 {
        starts.insert(X32_BIT, Outcome::Act(policy.default));
    }
    // x32's own calls and ARM's private ones lie above the common numbers and do not grow.
    let newest = table.values().filter(|number| (**number & !X32_BIT) < 512).max();
    if let Some(newest) = newest {
        starts.insert(newest + 1, Outcome::Act(policy.unknown));
    }
    let mut chains: BTreeMap<u32, Outcome<'a>> =
        table.values().map(|number| (*number, Outcome::Act(policy.default))).collect();
    let mut decided: BTreeMap<u32, bool> = BTreeMap::new();
    for rule in &policy.rules {
        for number in rule.names.iter().filter_map(|name| table.get(name.as_str())) {
            let done = decided.entry(*number).or_default();
            if let Some(outcome) = chains.get_mut(number).filter(|_| !*done) {
                add(outcome, &rule.conditions, rule.action);
                *done = rule.conditions.is_empty();
            }
        }
    }
    // The number after a call belongs to the gap there, unless it is a call as well.
    for number in chains.keys() {
        let gap = if newest.is_some_and(|newest| number > newest) {
            policy.unknown
        } else {
            policy.default
        };
        starts.entry(number + 1).or_insert(Outcome::Act(gap));
    }
    starts.extend(chains);
}

fn add<'a>(outcome: &mut Outcome<'a>, conditions: &'a [Cmp], action: Action) {
    match outcome {
        Outcome::Act(_) if conditions.is_empty() => *outcome = Outcome::Act(action),
        Outcome::Act(last) => *outcome = Outcome::Chain(vec![(conditions, action)], *last),
        Outcome::Chain(_, last) if conditions.is_empty() => *last = action,
        Outcome::Chain(rules, _) => rules.push((conditions, action)),
    }
}

/// The program of a policy.
///
/// # Errors
///
/// See [`CompileError`].
pub fn compile(policy: &Policy) -> Result<Vec<Insn>, CompileError> {
    let conditions = policy.rules.iter().flat_map(|rule| &rule.conditions);
    if let Some(cmp) = conditions.into_iter().find(|cmp| cmp.arg > 5) {
        return Err(CompileError::NoArgument(cmp.arg));
    }
    let mut audits: Vec<u32> = policy.arches.iter().map(|arch| arch.audit()).collect();
    let mut seen = Vec::new();
    audits.retain(|audit| {
        !seen.contains(audit) && {
            seen.push(*audit);
            true
        }
    });
    let mut program = Reversed::default();
    let mut next = program.act(policy.bad_arch);
    for audit in audits.into_iter().rev() {
        let root = program.tree(&segments(policy, audit));
        if program.distance(root) > 0 {
            program.push(JA, 0, 0, u32::try_from(program.distance(root)).unwrap_or(u32::MAX));
        }
        let numbers = program.load(0);
        next = program.jump(JEQ, audit, numbers, next);
    }
    program.load(4);
    program.insns.reverse();
    match program.insns.len() {
        length if length > MAX_INSNS => Err(CompileError::TooLong(length)),
        _ => Ok(program.insns),
    }
}
