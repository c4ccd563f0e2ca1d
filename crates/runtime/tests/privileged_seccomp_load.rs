//! A filter of the usual size: how long it is, how long its paths are, how long the kernel takes to
//! load it, beside one that asks for each number in turn. Needs root, `python3` and an x86-64 machine.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used)]

#[path = "common/profile.rs"]
mod profile;

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::run::{Data, check, trace};
use creel_codec::bpf::{Insn, JEQ, LD, RET};
use creel_runtime::defaults;
use creel_runtime::lower::{Options, lower};
use creel_spawn::Root;

/// Loads a filter, given in hexadecimal, in 41 processes and tells the median of the microseconds.
const LOADER: &str = "
import ctypes, os, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(bytes.fromhex(sys.argv[1]))
head = struct.pack('HxxxxxxP', (len(program) - 1) // 8, ctypes.addressof(program))
times = []
for _ in range(41):
    reader, writer = os.pipe()
    if os.fork() == 0:
        libc.prctl(38, 1, 0, 0, 0)
        start = time.perf_counter_ns()
        failed = libc.prctl(22, 2, head, 0, 0)
        took = time.perf_counter_ns() - start
        os.write(writer, b'failed' if failed else str(took).encode())
        os._exit(0)
    os.wait()
    times.append(int(os.read(reader, 64)) // 1000)
    os.close(reader)
    os.close(writer)
print(sorted(times)[20])
";

fn microseconds(program: &[Insn]) -> u64 {
    let mut hex = String::new();
    for insn in program {
        let [a, b] = insn.code.to_le_bytes();
        let [c, d, e, f] = insn.k.to_le_bytes();
        for byte in [a, b, insn.jt, insn.jf, c, d, e, f] {
            write!(hex, "{byte:02x}").unwrap();
        }
    }
    let output = Command::new("python3").args(["-c", LOADER, &hex]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// The program of a profile in a specification, and how long the specification took to be lowered.
fn compiled(profile: serde_json::Value) -> (Vec<Insn>, Duration) {
    let mut spec = defaults::spec();
    spec.linux.as_mut().unwrap().seccomp = Some(serde_json::from_value(profile).unwrap());
    spec.process.as_mut().unwrap().args = vec!["true".into()];
    let options = Options { root: Some(Root::directory("/r")), ..Options::default() };
    let started = Instant::now();
    let plan = lower(&spec, &options).unwrap();
    let took = started.elapsed();
    let instructions = plan.process.seccomp.instructions;
    let program = instructions.into_iter().map(|(code, jt, jf, k)| Insn { code, jt, jf, k });
    (program.collect(), took)
}

/// One comparison and one return for each call of the machine's own interface.
fn linear() -> Vec<Insn> {
    let plain = |code, jt, jf, k| Insn { code, jt, jf, k };
    let mut program = vec![plain(LD, 0, 0, 4), plain(JEQ, 1, 0, Arch::X86_64.audit())];
    program.extend([plain(RET, 0, 0, 0), plain(LD, 0, 0, 0)]);
    let number = |name: &&str| Arch::X86_64.number(name);
    let mut numbers: Vec<_> = profile::allowed().iter().filter_map(number).collect();
    numbers.sort_unstable();
    for number in numbers {
        program.extend([plain(JEQ, 0, 1, number), plain(RET, 0, 0, 0x7fff_0000)]);
    }
    program.push(plain(RET, 0, 0, 0x0005_0001));
    program
}

/// The instructions that the kernel runs for each of its numbers.
fn paths(program: &[Insn], arch: Arch) -> Vec<usize> {
    let call = |nr| Data { nr, arch: arch.audit(), ..Data::default() };
    (0..470).map(|nr| trace(program, &call(nr)).unwrap().1).collect()
}

#[test]
fn privileged_a_filter_of_the_usual_size_is_short_and_loads_fast() {
    let (one, took) = compiled(profile::dockers(false));
    println!("lowered in {took:?}");
    let (split, took) = compiled(profile::dockers(true));
    println!("lowered in {took:?} with a rule for each call");
    assert_eq!(one, split);
    let linear = linear();
    assert!(check(&one) && check(&linear));
    let allow = vec![Insn { code: RET, jt: 0, jf: 0, k: 0x7fff_0000 }];
    for (name, program) in [("nothing", &allow), ("tree", &one), ("linear", &linear)] {
        let paths = paths(program, Arch::X86_64);
        let (sum, most) = (paths.iter().sum::<usize>(), paths.iter().max().unwrap());
        let took = microseconds(program);
        println!(
            "{name}: {} instructions, {sum} for all numbers, at most {most}, loaded in {took} us",
            program.len()
        );
    }
    assert!(profile::allowed().len() >= 350);
    assert!(one.len() < 400, "{}", one.len());
    for arch in [Arch::X86_64, Arch::I386] {
        let paths = paths(&one, arch);
        assert!(paths.iter().all(|steps| *steps <= 24), "{arch:?}: {paths:?}");
        assert!(paths.iter().sum::<usize>() <= 470 * 12, "{arch:?}: {paths:?}");
    }
}
