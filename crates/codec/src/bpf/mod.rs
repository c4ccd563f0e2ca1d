//! Classic BPF programs and the seccomp compiler; extended BPF programs and device filters.
//!
//! Source: the kernel's `Documentation/networking/filter.rst` and
//! `Documentation/userspace-api/seccomp_filter.rst`.

pub mod arch;
pub mod call;
pub mod capability;
pub mod compile;
pub mod device;
mod emit;
pub mod extended;
mod interface;
mod multiplexed;
pub mod passage;
#[doc(hidden)]
pub mod plain;
pub mod policy;
pub mod profile;
pub mod run;
mod segments;

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    /// Operation.
    pub code: u16,
    /// Instructions to skip if the comparison holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// The most instructions the kernel takes in one program (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;

/// `BPF_LD | BPF_W | BPF_ABS`: load the word at offset `k`.
pub const LD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
pub const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`.
pub const JA: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
pub const JEQ: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`.
pub const JGT: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`.
pub const JGE: u16 = 0x35;
/// `BPF_RET | BPF_K`.
pub const RET: u16 = 0x06;
