//! Lowering of the system call filter.

use creel_codec::bpf::Insn;
use creel_codec::bpf::passage::{Passage, with_passage};
use creel_sys::program::{Filter, Op, knows_flags};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::SpawnError;
use crate::plan::Seccomp;

/// `SECCOMP_FILTER_FLAG_TSYNC`.
const TSYNC: u32 = 1;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (5.0).
const NEW_LISTENER: u32 = 8;
/// `SECCOMP_FILTER_FLAG_TSYNC_ESRCH` (5.7).
const TSYNC_ESRCH: u32 = 16;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (5.19).
const WAIT_KILLABLE_RECV: u32 = 32;

/// The call that loads the filter, if there is one.
pub(crate) fn lower_filter(filter: &Seccomp) -> Result<Option<Op>, SpawnError> {
    if filter.instructions.is_empty() {
        return Ok(None);
    }
    let mut instructions: Vec<_> = filter.instructions.iter().map(instruction).collect();
    if !filter.listens {
        let flags = filter.flags & !WAIT_KILLABLE_RECV;
        return Ok(Some(Op::Seccomp(program(&instructions), flags)));
    }
    let passage = Passage::native(secret()?).ok_or(SpawnError::NoListener)?;
    instructions = with_passage(&instructions, &passage);
    let flags = listening(filter.flags);
    Ok(Some(Op::Listen { filter: program(&instructions), flags, secret: passage.secret }))
}

/// Whether this kernel takes a `SECCOMP_FILTER_FLAG_*`, with those that it takes it with.
#[must_use]
pub fn knows_filter_flag(flag: u32) -> bool {
    // Only listeners wait.
    knows_flags(if flag == WAIT_KILLABLE_RECV { listening(flag) } else { flag })
}

fn secret() -> Result<[u64; 3], SpawnError> {
    let mut secret = [[0; 8]; 3];
    for word in &mut secret {
        // So few bytes come whole.
        getrandom(word, GetRandomFlags::empty())
            .map_err(|error| SpawnError::Start(error.into()))?;
    }
    Ok(secret.map(u64::from_ne_bytes))
}

/// The kernel refuses to return a listener and, for [`TSYNC`], a thread, unless it may fail instead.
fn listening(flags: u32) -> u32 {
    let synchronised = if flags & TSYNC != 0 { TSYNC_ESRCH } else { 0 };
    flags | NEW_LISTENER | synchronised
}

fn instruction(&(code, jt, jf, k): &(u16, u8, u8, u32)) -> Insn {
    Insn { code, jt, jf, k }
}

fn program(instructions: &[Insn]) -> Vec<Filter> {
    let filter = |&Insn { code, jt, jf, k }: &Insn| Filter { code, jt, jf, k };
    instructions.iter().map(filter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_the_kernel_takes_only_together_go_together() {
        let instructions = vec![(6, 0, 0, 0x7fff_0000)];
        let with = |flags, listens| {
            let filter = Seccomp { instructions: instructions.clone(), flags, listens };
            match lower_filter(&filter).unwrap().unwrap() {
                Op::Seccomp(_, flags) | Op::Listen { flags, .. } => flags,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(with(4 | WAIT_KILLABLE_RECV, false), 4);
        assert_eq!(with(4 | WAIT_KILLABLE_RECV, true), 4 | WAIT_KILLABLE_RECV | NEW_LISTENER);
        assert_eq!(with(TSYNC, true), TSYNC | TSYNC_ESRCH | NEW_LISTENER);
        assert!(lower_filter(&Seccomp::default()).unwrap().is_none());
        // Linux 4.14 has `SECCOMP_FILTER_FLAG_LOG`; the last bit is nothing.
        assert!(knows_filter_flag(2) && !knows_filter_flag(1 << 31));
    }
}
