//! Which devices the processes of a control group may open, as a program for version 2
//! (`BPF_PROG_TYPE_CGROUP_DEVICE`, Linux 4.15).
//!
//! The kernel asks once for all that a call wants of a device, so each of reading, writing and
//! making a node is judged for itself: of the rules about it, the last one counts, and without one
//! it is allowed. That is what the controller of version 1 does with the same rules in this order.

use std::fmt::{self, Write as _};

use super::extended::{Instruction, Register, encode};

/// Which kind of devices a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Both kinds; numbers and access do not count.
    All,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// What is done with a device, as bits (`BPF_DEVCG_ACC_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// Making a node.
    pub const MAKE: Self = Self(1);
    /// Reading.
    pub const READ: Self = Self(2);
    /// Writing.
    pub const WRITE: Self = Self(4);
    /// All of them.
    pub const ALL: Self = Self(7);

    /// Reads letters: some of `r`, `w` and `m`.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Self> {
        let bit = |letter| match letter {
            'm' => Some(Self::MAKE.0),
            'r' => Some(Self::READ.0),
            'w' => Some(Self::WRITE.0),
            _ => None,
        };
        let bits = letters.chars().try_fold(0, |bits, letter| Some(bits | bit(letter)?))?;
        (bits != 0).then_some(Self(bits))
    }
}

impl fmt::Display for Access {
    /// Writes the letters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(Self::READ, 'r'), (Self::WRITE, 'w'), (Self::MAKE, 'm')];
        let mut letters = letters.into_iter().filter(|(bit, _)| self.0 & bit.0 != 0);
        letters.try_for_each(|(_, letter)| f.write_char(letter))
    }
}

/// A rule; of several about the same, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether it allows or forbids.
    pub allow: bool,
    /// What it is about.
    pub devices: Devices,
    /// Major number; any if not said.
    pub major: Option<u32>,
    /// Minor number; any if not said.
    pub minor: Option<u32>,
    /// What is done with it.
    pub access: Access,
}

/// `BPF_DEVCG_DEV_BLOCK`.
const BLOCK: u32 = 1;
/// `BPF_DEVCG_DEV_CHAR`.
const CHARACTER: u32 = 2;

/// What is asked for and not yet allowed.
const OPEN: Register = Register::FREE[0];
const KIND: Register = Register::FREE[1];
const MAJOR: Register = Register::FREE[2];
const MINOR: Register = Register::FREE[3];

/// Makes the program of rules, in the kernel's words.
#[must_use]
pub fn compile(rules: &[Rule]) -> Vec<u64> {
    use Instruction::{And, Copy, Load, Shift};
    // `struct bpf_cgroup_dev_ctx`: the kind in the low half of a word and the access in the high
    // one, major, minor.
    let mut program = vec![
        Load(OPEN, 0),
        Copy(KIND, OPEN),
        And(KIND, 0xffff),
        Shift(OPEN, 16),
        Load(MAJOR, 4),
        Load(MINOR, 8),
    ];
    for rule in rules.iter().rev() {
        program.extend(judge(rule));
    }
    program.extend(decide(true));
    encode(&program)
}

/// One rule: the conditions under which it is about the device, and what it does then.
fn judge(rule: &Rule) -> Vec<Instruction> {
    let kind = match rule.devices {
        Devices::All => return judgement(rule.allow, Access::ALL),
        Devices::Character => CHARACTER,
        Devices::Block => BLOCK,
    };
    let number = |of, number: Option<u32>| Some((of, number?));
    let conditions = [Some((KIND, kind)), number(MAJOR, rule.major), number(MINOR, rule.minor)];
    let conditions: Vec<_> = conditions.into_iter().flatten().collect();
    // How many words of the kernel's are between a condition and the next rule.
    let skips = (WORDS..).zip(&conditions).map(|(skip, _)| skip).collect::<Vec<_>>();
    let skipping = conditions.into_iter().zip(skips.into_iter().rev());
    skipping
        .map(|((of, number), skip)| Instruction::SkipUnlessEqual(of, number, skip))
        .chain(judgement(rule.allow, rule.access))
        .collect()
}

/// The kernel's words in a judgement, of either kind.
const WORDS: i16 = 4;

/// Ends the program if nothing that was asked for is left to be judged, or if something is forbidden.
fn judgement(allow: bool, Access(bits): Access) -> Vec<Instruction> {
    use Instruction::{And, SkipUnlessAny, SkipUnlessEqual};
    let mut judgement = match allow {
        true => vec![And(OPEN, !bits), SkipUnlessEqual(OPEN, 0, 2)],
        false => vec![SkipUnlessAny(OPEN, bits, 2)],
    };
    judgement.extend(decide(allow));
    judgement
}

fn decide(allow: bool) -> [Instruction; 2] {
    [Instruction::Set(Register::RESULT, u32::from(allow)), Instruction::Exit]
}
