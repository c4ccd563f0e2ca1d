//! A checker and an interpreter for the instructions the compiler uses.

use super::{AND, Insn, JA, JEQ, JGE, JGT, LD, MAX_INSNS, RET};

/// The kernel's `struct seccomp_data`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Data {
    /// System call number.
    pub nr: u32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Instruction pointer.
    pub ip: u64,
    /// Arguments.
    pub args: [u64; 6],
}

impl Data {
    /// The little-endian word at a byte offset, as on every architecture we serve.
    fn word(&self, offset: u32) -> Option<u32> {
        let long = |value: u64, offset: u32| (value >> (offset % 8 * 8)) as u32;
        match offset {
            0 => Some(self.nr),
            4 => Some(self.arch),
            8 | 12 => Some(long(self.ip, offset)),
            _ if offset.is_multiple_of(4) => {
                let index = usize::try_from((offset - 16) / 8).ok()?;
                self.args.get(index).map(|value| long(*value, offset))
            }
            _ => None,
        }
    }
}

/// Whether the kernel would take the program: known instructions, no jump out of it, a return at
/// the end, loads within `seccomp_data`.
#[must_use]
pub fn check(program: &[Insn]) -> bool {
    let inside = |at: usize, skip: u32| {
        let target =
            usize::try_from(skip).ok().and_then(|skip| at.checked_add(1)?.checked_add(skip));
        target.is_some_and(|target| target < program.len())
    };
    let valid = |(at, insn): (usize, &Insn)| match insn.code {
        LD => insn.k < 64 && insn.k.is_multiple_of(4),
        AND | RET => true,
        JA => inside(at, insn.k),
        JEQ | JGT | JGE => inside(at, insn.jt.into()) && inside(at, insn.jf.into()),
        _ => false,
    };
    program.len() <= MAX_INSNS
        && program.last().is_some_and(|insn| insn.code == RET)
        && program.iter().enumerate().all(valid)
}

/// What the program returns for `data`; `None` if it is not valid.
#[must_use]
pub fn run(program: &[Insn], data: &Data) -> Option<u32> {
    trace(program, data).map(|(value, _)| value)
}

/// What the program returns for `data`, and after how many instructions; `None` if it is not valid.
#[must_use]
pub fn trace(program: &[Insn], data: &Data) -> Option<(u32, usize)> {
    let (mut at, mut acc) = (0_usize, 0_u32);
    for steps in 1.. {
        let insn = program.get(at)?;
        let branch = |holds: bool| u32::from(if holds { insn.jt } else { insn.jf });
        let skip = match insn.code {
            RET => return Some((insn.k, steps)),
            LD => {
                acc = data.word(insn.k)?;
                0
            }
            AND => {
                acc &= insn.k;
                0
            }
            JA => insn.k,
            JEQ => branch(acc == insn.k),
            JGT => branch(acc > insn.k),
            JGE => branch(acc >= insn.k),
            _ => return None,
        };
        at = at.checked_add(1)?.checked_add(usize::try_from(skip).ok()?)?;
    }
    None
}
