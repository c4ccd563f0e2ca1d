//! The filter that keeps a program from putting input into the caller's terminal.
//!
//! `TIOCSTI` types on it, `TIOCLINUX` pastes on a virtual console (CVE-2017-5226, CVE-2023-28100). The kernel
//! looks at the low 32 bits of a request only, so the filter does (CVE-2019-10063). Job control and all else
//! works as before, which it does not in a session without the terminal.

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::{Insn, JA, JEQ, LD, RET};
use creel_sys::program::Filter as Instruction;

use crate::sandbox::Filter;

/// `TIOCSTI` and `TIOCLINUX` of `asm-generic/ioctls.h`.
const REQUESTS: [u32; 2] = [0x5412, 0x541c];
/// Offsets in `struct seccomp_data`: number, architecture, the low half of the second argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const REQUEST: u32 = 24;
/// `SECCOMP_RET_ALLOW`.
const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ERRNO` with `EPERM`.
const REFUSE: u32 = 0x0005_0001;

impl Filter {
    /// Refuses the requests by which input is put into a terminal, in every way of making system calls
    /// that this processor has; nothing on a processor that is not known.
    #[must_use]
    pub fn terminal() -> Option<Self> {
        let native = Arch::native()?;
        let instruction = |Insn { code, jt, jf, k }| Instruction { code, jt, jf, k };
        Some(Self(program(native.family()).into_iter().map(instruction).collect()))
    }
}

/// Most calls are let through after one comparison for each architecture.
fn program(family: &[Arch]) -> Vec<Insn> {
    let numbers = family.iter().filter_map(|arch| Some((arch.audit(), arch.number("ioctl")?)));
    let calls: Vec<_> = numbers.collect();
    let mut program = Vec::new();
    for (index, (audit, number)) in calls.iter().enumerate() {
        // Over what is left of these blocks, and the return after them.
        let left = (calls.len() - index - 1) * BLOCK + 1;
        program.extend([
            insn(LD, [0, 0], NUMBER),
            insn(JEQ, [0, 3], *number),
            insn(LD, [0, 0], ARCHITECTURE),
            insn(JEQ, [0, 1], *audit),
            insn(JA, [0, 0], u32::try_from(left).unwrap_or(0)),
        ]);
    }
    program.extend([
        insn(RET, [0, 0], ALLOW),
        insn(LD, [0, 0], REQUEST),
        insn(JEQ, [2, 0], REQUESTS[0]),
        insn(JEQ, [1, 0], REQUESTS[1]),
        insn(RET, [0, 0], ALLOW),
        insn(RET, [0, 0], REFUSE),
    ]);
    program
}

/// Instructions about one architecture.
const BLOCK: usize = 5;

const fn insn(code: u16, [jt, jf]: [u8; 2], k: u32) -> Insn {
    Insn { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use creel_codec::bpf::run::{Data, check, run};

    use super::*;

    #[test]
    fn both_requests_are_refused_in_every_encoding() {
        for native in [Arch::X86_64, Arch::Aarch64] {
            let program = program(native.family());
            assert!(check(&program));
            for arch in native.family() {
                let number = arch.number("ioctl").unwrap();
                let call = |nr, request| {
                    let args = [0, request, 0, 0, 0, 0];
                    run(&program, &Data { nr, arch: arch.audit(), ip: 0, args }).unwrap()
                };
                for request in [0x5412, 0x541c, 0x1_0000_5412, 0xffff_ffff_0000_541c] {
                    assert_eq!(call(number, request), REFUSE, "{arch:?} {request:#x}");
                    // Another call with such an argument.
                    assert_eq!(call(number + 1, request), ALLOW, "{arch:?} {request:#x}");
                }
                // What job control and windows need.
                for request in [0x540e, 0x540f, 0x5410, 0x5413, 0x5411] {
                    assert_eq!(call(number, request), ALLOW, "{arch:?} {request:#x}");
                }
            }
        }
    }

    #[test]
    fn the_number_of_another_architecture_is_another_call() {
        let program = program(Arch::X86_64.family());
        // 54 is `ioctl` of i386, and `setsockopt` here.
        let data = |arch: Arch| {
            run(
                &program,
                &Data { nr: 54, arch: arch.audit(), ip: 0, args: [0, 0x5412, 0, 0, 0, 0] },
            )
        };
        assert_eq!(data(Arch::I386), Some(REFUSE));
        assert_eq!(data(Arch::X86_64), Some(ALLOW));
    }
}
