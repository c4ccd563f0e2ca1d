//! The default filter in a real kernel. Needs `python3` and an x86-64 machine.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, missing_docs)]

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::profile::{self, Profile};
use std::fmt::Write as _;
use std::process::Command;

/// Loads the filter given in hexadecimal, makes system calls, and starts a program.
/// 38 is `PR_SET_NO_NEW_PRIVS`, 22 is `PR_SET_SECCOMP`, 2 is `SECCOMP_MODE_FILTER`.
const LOADER: &str = "
import ctypes, os, struct, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(bytes.fromhex(sys.argv[1]))
count = (len(program) - 1) // 8
head = struct.pack('HxxxxxxP', count, ctypes.addressof(program))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, head, 0, 0) == 0, os.strerror(ctypes.get_errno())
for call in sys.argv[2:]:
    number, argument = map(int, call.split(','))
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), ctypes.c_long(argument), 0, 0, 0, 0, 0)
    print(ctypes.get_errno() if result < 0 else 0)
print(subprocess.run(['true']).returncode)
";

#[test]
fn privileged_the_kernel_takes_the_default_filter_and_decides_by_it() {
    let profile = Profile::parse(profile::DEFAULT).unwrap();
    let program = profile::compile(&profile, &|_| false, Arch::X86_64).unwrap();
    let mut hex = String::new();
    for insn in program {
        let [code, k] = [u32::from(insn.code).to_le_bytes(), insn.k.to_le_bytes()];
        for byte in [code[0], code[1], insn.jt, insn.jf, k[0], k[1], k[2], k[3]] {
            write!(hex, "{byte:02x}").unwrap();
        }
    }
    let number = |name| Arch::X86_64.number(name).unwrap();
    let (eperm, enosys) = (1, 38);
    let calls: [(u32, u64, i32); 12] = [
        (number("getppid"), 0, 0),
        (number("socket"), 2, 94), // ESOCKTNOSUPPORT: the kernel's own answer to type 0.
        (number("socket"), 40, eperm),
        (number("socket"), 1 << 32 | 40, eperm),
        (number("personality"), 0xffff_ffff, 0),
        (number("personality"), 0x4_0000, eperm),
        (number("unshare"), 0, eperm),
        (number("clone"), 0x1000_0000, eperm),
        (number("clone3"), 0, enosys),
        (number("keyctl"), 0, eperm),
        (number("io_uring_setup"), 1, eperm),
        (900, 0, enosys),
    ];
    let words = calls.map(|(number, argument, _)| format!("{number},{argument}"));
    let output = Command::new("python3").args(["-c", LOADER, &hex]).args(words).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let found: Vec<i32> = printed.lines().map(|line| line.parse().unwrap()).collect();
    let mut expected: Vec<i32> = calls.iter().map(|(_, _, errno)| *errno).collect();
    expected.push(0);
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&output.stderr));
}
