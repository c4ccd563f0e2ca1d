//! Instructions, made last to first, so that each jump knows how far its target is.

use super::policy::{Action, Cmp, Op};
use super::segments::{Link, Outcome, Segment};
use super::{AND, Insn, JA, JEQ, JGE, JGT, LD, MAX_INSNS, RET};
use std::collections::HashMap;

/// A place in the program, counted from its end.
pub(super) type Label = usize;

/// The program so far, last instruction first.
#[derive(Default)]
pub(super) struct Reversed {
    insns: Vec<Insn>,
    returns: HashMap<Action, Label>,
}

impl Reversed {
    /// The program, first instruction first.
    pub(super) fn finish(mut self) -> Vec<Insn> {
        self.insns.reverse();
        self.insns
    }

    /// Whether the kernel refuses the program in any case: the rest would only take memory.
    fn is_too_long(&self) -> bool {
        self.insns.len() > MAX_INSNS
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.insns.push(Insn { code, jt, jf, k });
        self.insns.len() - 1
    }

    fn distance(&self, to: Label) -> usize {
        self.insns.len().saturating_sub(to + 1)
    }

    /// A return near enough for a jump to reach it.
    pub(super) fn act(&mut self, action: Action) -> Label {
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
        if self.distance(to) < 250 { to } else { self.go(to) }
    }

    fn go(&mut self, to: Label) -> Label {
        let k = u32::try_from(self.distance(to)).unwrap_or(u32::MAX);
        self.push(JA, 0, 0, k)
    }

    /// Makes `to` what comes next.
    pub(super) fn fall(&mut self, to: Label) -> Label {
        if self.distance(to) == 0 { to } else { self.go(to) }
    }

    pub(super) fn jump(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let (yes, no) = (self.near(yes), self.near(no));
        let skip = |label| u8::try_from(self.distance(label)).unwrap_or(u8::MAX);
        let (jt, jf) = (skip(yes), skip(no));
        self.push(code, jt, jf, k)
    }

    pub(super) fn load(&mut self, offset: u32) -> Label {
        self.push(LD, 0, 0, offset)
    }

    /// A tree over call numbers, the number being loaded.
    pub(super) fn tree(&mut self, segments: &[Segment<'_>]) -> Label {
        match segments {
            _ if self.is_too_long() => 0,
            [] => 0,
            [only] => self.outcome(&only.outcome),
            [before, one, after] if before.outcome == after.outcome && one.end - one.start == 1 => {
                let others = self.outcome(&before.outcome);
                let only = self.outcome(&one.outcome);
                self.jump(JEQ, one.start, only, others)
            }
            _ => {
                let (left, right) = segments.split_at(middle(segments));
                let start = right.first().map_or(0, |first| first.start);
                let above = self.tree(right);
                let below = self.tree(left);
                self.jump(JGE, start, above, below)
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome<'_>) -> Label {
        match outcome {
            Outcome::Act(action) => self.act(*action),
            Outcome::Chain { links, last, narrow } => {
                let mut next = self.act(*last);
                for link in links.iter().rev() {
                    next = self.link(link, *narrow, next);
                }
                next
            }
        }
    }

    fn link(&mut self, link: &Link<'_>, narrow: bool, no: Label) -> Label {
        let mut next = no;
        for all in link.any_of.iter().rev() {
            if self.is_too_long() {
                return next;
            }
            let mut yes = self.act(link.action);
            for cmp in all.iter().rev() {
                yes = self.compare(cmp, narrow, yes, next);
            }
            next = yes;
        }
        next
    }

    fn compare(&mut self, cmp: &Cmp, narrow: bool, yes: Label, no: Label) -> Label {
        let order = if narrow { Self::order_low } else { Self::order };
        match cmp.op {
            Op::Eq => self.equal(cmp, u64::MAX, narrow, [yes, no]),
            Op::MaskedEq(mask) => self.equal(cmp, mask, narrow, [yes, no]),
            Op::MaskedNe(mask) => self.equal(cmp, mask, narrow, [no, yes]),
            Op::Ne => self.equal(cmp, u64::MAX, narrow, [no, yes]),
            Op::Gt => order(self, cmp, JGT, yes, no),
            Op::Ge => order(self, cmp, JGE, yes, no),
            Op::Le => order(self, cmp, JGT, no, yes),
            Op::Lt => order(self, cmp, JGE, no, yes),
        }
    }

    fn equal(&mut self, cmp: &Cmp, mask: u64, narrow: bool, [yes, no]: [Label; 2]) -> Label {
        let high = if narrow { yes } else { self.half(cmp, mask, 32, yes, no) };
        self.half(cmp, mask, 0, high, no)
    }

    /// Compares the 32 bits of an argument from bit `shift` on.
    fn half(&mut self, cmp: &Cmp, mask: u64, shift: u32, yes: Label, no: Label) -> Label {
        let (value, mask) = ((cmp.value >> shift) as u32, (mask >> shift) as u32);
        if mask == 0 {
            return if value == 0 { yes } else { no };
        }
        self.jump(JEQ, value, yes, no);
        if mask != u32::MAX {
            self.push(AND, 0, 0, mask);
        }
        self.load(low(cmp) + shift / 8)
    }

    fn order(&mut self, cmp: &Cmp, code: u16, yes: Label, no: Label) -> Label {
        let high = (cmp.value >> 32) as u32;
        let lower = self.order_low(cmp, code, yes, no);
        let same = self.jump(JEQ, high, lower, no);
        self.jump(JGT, high, yes, same);
        self.load(low(cmp) + 4)
    }

    fn order_low(&mut self, cmp: &Cmp, code: u16, yes: Label, no: Label) -> Label {
        self.jump(code, cmp.value as u32, yes, no);
        self.load(low(cmp))
    }
}

/// The offset of an argument's low word in `seccomp_data`.
fn low(cmp: &Cmp) -> u32 {
    16 + 8 * u32::from(cmp.arg)
}

/// Where to divide segments so that both parts weigh about the same; there are at least two.
fn middle(segments: &[Segment<'_>]) -> usize {
    let total: u64 = segments.iter().map(Segment::weight).sum();
    let mut before = 0;
    let mut best = (u64::MAX, 1);
    for (index, segment) in segments.iter().enumerate().take(segments.len() - 1) {
        before += segment.weight();
        best = best.min(((2 * before).abs_diff(total), index + 1));
    }
    best.1
}
