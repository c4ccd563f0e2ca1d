//! Instructions of extended BPF, as far as device filters need them, and an interpreter for those.
//!
//! Source: the kernel's `Documentation/bpf/standardization/instruction-set.rst`. Comparisons of 32
//! bits came with Linux 5.1.

/// A register. The first argument is in [`Register::CONTEXT`] at the start, the result is in
/// [`Register::RESULT`] at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u8);

impl Register {
    /// What the program returns (`r0`).
    pub const RESULT: Self = Self(0);
    /// The address of what the program is asked about (`r1`).
    pub const CONTEXT: Self = Self(1);
    /// Free for use (`r2` to `r5`).
    pub const FREE: [Self; 4] = [Self(2), Self(3), Self(4), Self(5)];
}

/// An instruction; all work on the low 32 bits of registers and clear the high ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Loads the word at an offset into the context.
    Load(Register, i16),
    /// Copies a register: to, from.
    Copy(Register, Register),
    /// Sets a register.
    Set(Register, u32),
    /// Keeps the bits that are in the number.
    And(Register, u32),
    /// Shifts to the right by some bits.
    Shift(Register, u32),
    /// Skips instructions if the register is not equal to the number.
    SkipUnlessEqual(Register, u32, i16),
    /// Skips instructions if the register and the number have no bit in common.
    SkipUnlessAny(Register, u32, i16),
    /// Ends the program.
    Exit,
}

/// `BPF_LDX | BPF_MEM | BPF_W`.
const LOAD: u8 = 0x61;
/// `BPF_ALU | BPF_MOV | BPF_X`.
const COPY: u8 = 0xbc;
/// `BPF_ALU | BPF_MOV | BPF_K`.
const SET: u8 = 0xb4;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u8 = 0x54;
/// `BPF_ALU | BPF_RSH | BPF_K`.
const SHIFT: u8 = 0x74;
/// `BPF_JMP32 | BPF_JNE | BPF_K`.
const JUMP_UNEQUAL: u8 = 0x56;
/// `BPF_JMP32 | BPF_JSET | BPF_K`.
const JUMP_ANY: u8 = 0x46;
/// `BPF_JMP | BPF_JA`.
const JUMP: u8 = 0x05;
/// `BPF_JMP | BPF_EXIT`.
const EXIT: u8 = 0x95;

/// Makes the words that the kernel takes, one an instruction (`struct bpf_insn`), little-endian in
/// memory as on every architecture we serve.
#[must_use]
pub fn encode(program: &[Instruction]) -> Vec<u64> {
    program.iter().flat_map(|one| words(*one)).collect()
}

fn words(instruction: Instruction) -> Vec<u64> {
    use Instruction::{And, Copy, Exit, Load, Set, Shift, SkipUnlessAny, SkipUnlessEqual};
    match instruction {
        Load(to, offset) => vec![word(LOAD, to, Register::CONTEXT, offset, 0)],
        Copy(to, from) => vec![word(COPY, to, from, 0, 0)],
        Set(to, number) => vec![immediate(SET, to, 0, number)],
        And(to, number) => vec![immediate(AND, to, 0, number)],
        Shift(to, bits) => vec![immediate(SHIFT, to, 0, bits)],
        SkipUnlessEqual(of, number, skip) => vec![immediate(JUMP_UNEQUAL, of, skip, number)],
        // The kernel jumps if there is one: over the jump that is made if there is none.
        SkipUnlessAny(of, number, skip) => {
            vec![immediate(JUMP_ANY, of, 1, number), immediate(JUMP, Register(0), skip, 0)]
        }
        Exit => vec![immediate(EXIT, Register(0), 0, 0)],
    }
}

fn immediate(code: u8, to: Register, offset: i16, number: u32) -> u64 {
    word(code, to, Register(0), offset, number)
}

fn word(code: u8, to: Register, from: Register, offset: i16, number: u32) -> u64 {
    let offset = u16::from_le_bytes(offset.to_le_bytes());
    u64::from(code)
        | u64::from(to.0) << 8
        | u64::from(from.0) << 12
        | u64::from(offset) << 16
        | u64::from(number) << 32
}

/// What a program in the kernel's form returns for a context of words; `None` if it does not end, or
/// if it has what [`Instruction`] lacks.
#[must_use]
pub fn run(program: &[u64], context: &[u32]) -> Option<u32> {
    let (mut at, mut registers) = (0_usize, [0_u32; 16]);
    loop {
        let [code, operands, low, high, number @ ..] = program.get(at)?.to_le_bytes();
        let (to, number) = (usize::from(operands & 15), u32::from_le_bytes(number));
        let from = *registers.get(usize::from(operands >> 4))?;
        let offset = i16::from_le_bytes([low, high]);
        let register = registers.get_mut(to)?;
        let mut skip = false;
        match code {
            LOAD => *register = *context.get(usize::try_from(offset).ok()? / 4)?,
            COPY => *register = from,
            SET => *register = number,
            AND => *register &= number,
            SHIFT => *register = register.checked_shr(number)?,
            JUMP_UNEQUAL => skip = *register != number,
            JUMP_ANY => skip = *register & number != 0,
            JUMP => skip = true,
            EXIT => return registers.first().copied(),
            _ => return None,
        }
        // Forwards only, so every program ends.
        let skipped = if skip { usize::try_from(offset).ok()? } else { 0 };
        at = at.checked_add(1)?.checked_add(skipped)?;
    }
}
