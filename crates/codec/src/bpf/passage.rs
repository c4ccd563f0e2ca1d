//! The one call that a process makes past its own filter: to hand over the filter's listener, or to execute
//! the program that the filter is for.
//!
//! Whoever gets the notifications of a filter gets them through a descriptor that the loading process
//! has to send away with `sendmsg`, which the filter may notify about, and nobody would hear. So that
//! call is let through if it carries a secret in the registers that it does not use. The kernel
//! reads them nowhere else, and after `execve` nobody in the process knows them.

use super::arch::Arch;
use super::policy::Action;
use super::{Insn, JEQ, LD, RET};

/// How many instructions it takes.
pub const INSTRUCTIONS: usize = 17;

/// What lets a call through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// What the kernel reports for the interface.
    pub audit: u32,
    /// The number of the call there.
    pub number: u32,
    /// The last three of the six arguments.
    pub secret: [u64; 3],
}

impl Passage {
    /// That of `sendmsg` on the machine's own interface.
    #[must_use]
    pub fn native(secret: [u64; 3]) -> Option<Self> {
        Self::of("sendmsg", secret)
    }

    /// That of a call with three arguments on the machine's own interface.
    #[must_use]
    pub fn of(name: &str, secret: [u64; 3]) -> Option<Self> {
        let arch = Arch::native()?;
        let number = arch.number(name)?;
        Some(Self { audit: arch.audit(), number, secret })
    }
}

/// A program that allows the call and decides about all others as `program` does, in seventeen
/// instructions more.
#[must_use]
pub fn with_passage(program: &[Insn], passage: &Passage) -> Vec<Insn> {
    let words = passage.secret.iter().zip((40..).step_by(8));
    let words = words
        .flat_map(|(word, offset)| [(offset, *word as u32), (offset + 4, (word >> 32) as u32)]);
    let mut tests = vec![(4, passage.audit), (0, passage.number)];
    tests.extend(words);
    // The return comes after the last test.
    let behind =
        (1..=tests.len()).rev().map(|tests| u8::try_from(2 * tests - 1).unwrap_or(u8::MAX));
    let mut whole: Vec<_> = tests
        .iter()
        .zip(behind)
        .flat_map(|((offset, value), jf)| {
            let load = Insn { code: LD, jt: 0, jf: 0, k: *offset };
            [load, Insn { code: JEQ, jt: 0, jf, k: *value }]
        })
        .collect();
    whole.push(Insn { code: RET, jt: 0, jf: 0, k: Action::Allow.value() });
    whole.extend_from_slice(program);
    whole
}

#[cfg(test)]
mod tests {
    use super::super::run::{Data, check, run};
    use super::*;

    #[test]
    fn only_the_call_with_the_secret_passes() {
        let ask = Insn { code: RET, jt: 0, jf: 0, k: Action::Notify.value() };
        let passage = Passage { audit: 7, number: 46, secret: [1 << 32, 2, 3 << 32 | 3] };
        let program = with_passage(&[ask], &passage);
        assert_eq!(program.len(), INSTRUCTIONS + 1);
        assert!(check(&program));
        let args = [9, 9, 9, 1 << 32, 2, 3 << 32 | 3];
        let call = Data { nr: 46, arch: 7, ip: 0, args };
        assert_eq!(run(&program, &call), Some(Action::Allow.value()));
        let others = (3..6).flat_map(|index| [1, 1 << 40].map(|bit| (index, bit)));
        for (index, bit) in others {
            let mut other = call;
            other.args[index] ^= bit;
            assert_eq!(run(&program, &other), Some(Action::Notify.value()), "{index} {bit}");
        }
        for other in [Data { nr: 45, ..call }, Data { arch: 8, ..call }] {
            assert_eq!(run(&program, &other), Some(Action::Notify.value()));
        }
    }
}
