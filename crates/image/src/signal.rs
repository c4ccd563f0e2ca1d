//! Names and numbers of Linux signals, as images and command lines write them.
//!
//! Source: signal(7), the numbers of x86 and Arm, which most architectures share (not MIPS).

use core::str::FromStr;

use creel_base::hint::Hint;

/// A signal by its number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(u8);

/// Why a text is no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no signal: expected a name like `SIGTERM` or a number from 1 to 64")]
pub struct ParseSignalError {
    /// The text, cut to 32 characters.
    pub text: String,
}

impl Hint for ParseSignalError {}

/// The names from 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const ALIASES: [(&str, u8); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];
/// The C libraries keep 32 and 33 to themselves.
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

impl Signal {
    /// What ends a process that is asked to.
    pub const TERM: Self = Self(15);
    /// What ends a process that is not asked.
    pub const KILL: Self = Self(9);

    /// Returns the number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl FromStr for Signal {
    type Err = ParseSignalError;

    /// Reads `SIGTERM`, `TERM`, `15`, `RTMIN+3` or `RTMAX-1`, in any case.
    fn from_str(text: &str) -> Result<Self, ParseSignalError> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        number(text)
            .or_else(|| by_name(name))
            .filter(|number| (1..=RTMAX).contains(number))
            .map(Self)
            .ok_or_else(|| ParseSignalError { text: text.chars().take(32).collect() })
    }
}

/// Digits only: `u8::from_str` alone would take a `+`.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn by_name(name: &str) -> Option<u8> {
    if let Some(place) = NAMES.iter().position(|known| *known == name) {
        return u8::try_from(place + 1).ok();
    }
    if let Some((_, number)) = ALIASES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let real_time = |found: Option<u8>| found.filter(|found| (RTMIN..=RTMAX).contains(found));
    match name {
        "RTMIN" => Some(RTMIN),
        "RTMAX" => Some(RTMAX),
        _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(above), _) => real_time(RTMIN.checked_add(number(above)?)),
            (_, Some(below)) => real_time(RTMAX.checked_sub(number(below)?)),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers() {
        let cases = [
            ("SIGTERM", Some(15)),
            ("term", Some(15)),
            ("9", Some(9)),
            ("SIGSYS", Some(31)),
            ("POLL", Some(29)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX", Some(64)),
            ("RTMAX-30", Some(34)),
            ("RTMAX-31", None),
            ("RTMIN+31", None),
            ("RTMIN+255", None),
            ("0", None),
            ("65", None),
            ("+9", None),
            ("", None),
            ("SIG", None),
            ("SIG9", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse().ok().map(Signal::number), expected, "{text}");
        }
    }
}
