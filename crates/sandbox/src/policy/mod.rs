//! Policies for system calls in the language of minijail.
//!
//! Source: `minijail0(5)` and the grammar of minijail's compiler. Its two readers disagree about one thing,
//! see [`Meaning`]. Nothing here reads files: what a policy includes comes from a [`Files`].

mod ast;
mod constants;
mod error;
mod explain;
mod fuzz;
mod lex;
mod load;
mod parse;
mod remark;
mod rules;
mod trace;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::compile::{self, CompileError};
use creel_codec::bpf::policy::Action;

pub use constants::Constants;
pub use creel_codec::bpf;
pub use error::{Fault, PolicyError};
#[doc(hidden)]
pub use fuzz::fuzz;
pub use load::{Files, Found};
pub use remark::Remark;
pub use rules::{Branch, Decided, Decision, Rules, Test, TestOp, action_words};
pub use trace::Trace;

/// What `EXPRESSION; return ERRNO` outside of braces means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// As in `minijail0 -S`: a call for which the expression holds is let through, all others return the
    /// error. The first of several lines on a call decides. Paths are relative to the working directory.
    #[default]
    Launcher,
    /// As in minijail's `compile_seccomp_policy.py`: a call for which the expression holds returns the
    /// error. Several lines on a call are tried in their order. Paths are relative to the file.
    Compiler,
}

/// How policies are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interface whose calls and constants are meant.
    pub arch: Arch,
    /// What one form means.
    pub meaning: Meaning,
    /// What is done where a policy says no more than that a call is not allowed.
    pub kill: Action,
    /// Overrides the default of the policy, if there is one.
    pub default: Option<Action>,
    /// Whether what would end a process is only logged; calls that do not exist are then left out.
    pub log: bool,
}

impl Settings {
    /// Those of the machine that this runs on, if policies for it can be read.
    #[must_use]
    pub fn native() -> Option<Self> {
        Some(Self::of(Arch::native()?)).filter(|settings| is_wide(settings.arch))
    }

    /// Those of an interface.
    #[must_use]
    pub fn of(arch: Arch) -> Self {
        let meaning = Meaning::default();
        Self { arch, meaning, kill: Action::KillProcess, default: None, log: false }
    }
}

/// Whether an interface has arguments of 64 bits, as policies here are for.
#[must_use]
pub fn is_wide(arch: Arch) -> bool {
    arch.word() == u64::MAX
}

/// Reads a policy and all that it includes.
///
/// # Errors
/// See [`PolicyError`].
pub fn read(
    name: &str,
    text: &str,
    settings: &Settings,
    files: &mut dyn Files,
) -> Result<Rules, PolicyError> {
    load::load(name, text, settings, files)
}

/// The program of rules, as the kernel loads it.
///
/// # Errors
/// Fails if it is longer than the kernel takes.
pub fn compile(rules: &Rules) -> Result<Vec<bpf::Insn>, CompileError> {
    compile::compile(&rules.policy())
}

/// A program as bytes, in the form of `struct sock_filter` on little-endian machines: what `minijail0
/// --seccomp-bpf-binary`, `bwrap --seccomp` and `prctl` take.
#[must_use]
pub fn bytes(program: &[bpf::Insn]) -> Vec<u8> {
    let bytes = |insn: &bpf::Insn| {
        let [low, high] = insn.code.to_le_bytes();
        let [a, b, c, d] = insn.k.to_le_bytes();
        [low, high, insn.jt, insn.jf, a, b, c, d]
    };
    program.iter().flat_map(bytes).collect()
}

/// The program of such bytes, if they are whole instructions.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<bpf::Insn>> {
    let (insns, rest) = bytes.as_chunks::<8>();
    let insn = |&[low, high, jt, jf, a, b, c, d]: &[u8; 8]| bpf::Insn {
        code: u16::from_le_bytes([low, high]),
        jt,
        jf,
        k: u32::from_le_bytes([a, b, c, d]),
    };
    rest.is_empty().then(|| insns.iter().map(insn).collect())
}
