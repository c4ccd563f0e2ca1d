//! Policies to programs: for each interface a tree over the call numbers, balanced by how often the
//! kernel goes there.

use super::arch::Arch;
use super::emit::Reversed;
use super::interface::Interface;
use super::policy::Policy;
use super::segments::segments;
use super::{Insn, JEQ, MAX_INSNS};
use creel_base::hint::Hint;

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

/// The program of a policy.
///
/// # Errors
///
/// See [`CompileError`].
pub fn compile(policy: &Policy) -> Result<Vec<Insn>, CompileError> {
    let conditions = policy.rules.iter().flat_map(|rule| rule.any_of.iter().flatten());
    if let Some(cmp) = conditions.into_iter().find(|cmp| cmp.arg > 5) {
        return Err(CompileError::NoArgument(cmp.arg));
    }
    let interfaces: Vec<_> =
        policy.arches.iter().map(|arch| Interface::of(policy, *arch)).collect();
    let mut program = Reversed::default();
    let mut next = program.act(policy.bad_arch);
    for audit in audits(&policy.arches).into_iter().rev() {
        let root = program.tree(&segments(policy, &interfaces, audit)?);
        program.fall(root);
        let numbers = program.load(0);
        next = program.jump(JEQ, audit, numbers, next);
    }
    program.load(4);
    let program = program.finish();
    match program.len() {
        length if length > MAX_INSNS => Err(CompileError::TooLong(length)),
        _ => Ok(program),
    }
}

/// What the kernel reports for the interfaces, each value once.
fn audits(arches: &[Arch]) -> Vec<u32> {
    let mut audits: Vec<u32> = Vec::new();
    for audit in arches.iter().map(|arch| arch.audit()) {
        if !audits.contains(&audit) {
            audits.push(audit);
        }
    }
    audits
}
