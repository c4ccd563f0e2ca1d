//! The options of minijail0, as `getopt_long` reads them.

use super::error::LineError;

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    None,
    Value,
    /// Only with the option itself, `-t64M` or `--uts=name`.
    Perhaps,
}

/// An option that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// Its letter, or its long name if it has none.
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
}

impl Given {
    /// What a person calls it.
    pub(super) fn shown(&self) -> String {
        shown(self.name)
    }
}

/// As `-u` or `--uts`.
pub(super) fn shown(name: &str) -> String {
    if name.len() == 1 { format!("-{name}") } else { format!("--{name}") }
}

use Takes::{None as No, Perhaps, Value};

const LETTERS: [(&str, Takes); 38] = [
    ("a", Value),
    ("b", Value),
    ("c", Value),
    ("d", No),
    ("e", Perhaps),
    ("f", Value),
    ("g", Value),
    ("h", No),
    ("i", No),
    ("k", Value),
    ("l", No),
    ("m", Perhaps),
    ("n", No),
    ("p", No),
    ("r", No),
    ("s", No),
    ("t", Perhaps),
    ("u", Value),
    ("v", No),
    ("w", No),
    ("y", No),
    ("z", No),
    ("B", Value),
    ("C", Value),
    ("G", No),
    ("H", No),
    ("I", No),
    ("K", Perhaps),
    ("L", No),
    ("M", Perhaps),
    ("N", No),
    ("P", Value),
    ("R", Value),
    ("S", Value),
    ("T", Value),
    ("U", No),
    ("V", Value),
    ("Y", No),
];

/// Long names, and the letters of those that have one.
const LONG: [(&str, &str, Takes); 28] = [
    ("help", "h", No),
    ("mount-dev", "d", No),
    ("ambient", "ambient", No),
    ("uts", "uts", Perhaps),
    ("logging", "logging", Value),
    ("profile", "profile", Value),
    ("preload-library", "preload-library", Value),
    ("seccomp-bpf-binary", "seccomp-bpf-binary", Value),
    ("add-suppl-group", "add-suppl-group", Value),
    ("allow-speculative-execution", "allow-speculative-execution", No),
    ("config", "config", Value),
    ("gen-config", "gen-config", Value),
    ("env-add", "env-add", Value),
    ("env-reset", "env-reset", No),
    ("mount", "k", Value),
    ("bind-mount", "b", Value),
    ("ns-mount", "v", No),
    ("enable-profile-fs-restrictions", "enable-profile-fs-restrictions", No),
    ("fs-default-paths", "fs-default-paths", No),
    ("fs-path-rx", "fs-path-rx", Value),
    ("fs-path-ro", "fs-path-ro", Value),
    ("fs-path-rw", "fs-path-rw", Value),
    ("fs-path-advanced-rw", "fs-path-advanced-rw", Value),
    ("landlock-abi", "landlock-abi", Value),
    ("no-default-runtime-environment", "no-default-runtime-environment", No),
    ("no-fs-restrictions", "no-fs-restrictions", No),
    ("no-new-sessions", "no-new-sessions", No),
    ("preserve-fd", "preserve-fd", Value),
];

/// The options before the program, and what follows.
pub(super) fn split(argv: &[String]) -> Result<(Vec<Given>, Vec<String>), LineError> {
    let mut given = Vec::new();
    let mut words = argv.iter();
    loop {
        let rest = words.as_slice();
        let Some(word) = words.next() else { return Ok((given, Vec::new())) };
        if word == "--" {
            return Ok((given, words.cloned().collect()));
        }
        if let Some(long) = word.strip_prefix("--") {
            given.push(long_option(long, &mut words)?);
        } else if word.len() > 1 && word.starts_with('-') {
            letters(&word[1..], &mut words, &mut given)?;
        } else {
            return Ok((given, rest.to_vec()));
        }
    }
}

fn long_option<'a>(
    word: &str,
    words: &mut impl Iterator<Item = &'a String>,
) -> Result<Given, LineError> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (word, None),
    };
    let exact = LONG.iter().find(|(long, ..)| *long == name);
    let mut similar = LONG.iter().filter(|(long, ..)| long.starts_with(name));
    let found = match (exact, similar.next(), similar.next()) {
        (Some(exact), ..) => exact,
        (None, Some(only), None) => only,
        (None, None, _) => return Err(LineError::Unknown { option: format!("--{name}") }),
        (None, ..) => return Err(LineError::Unclear { option: format!("--{name}") }),
    };
    let (long, letter, takes) = *found;
    let option = || format!("--{long}");
    let value = match (takes, value) {
        (No, Some(_)) => return Err(LineError::Surplus { option: option() }),
        (Value, None) => {
            Some(words.next().cloned().ok_or_else(|| LineError::Missing { option: option() })?)
        }
        (_, value) => value,
    };
    Ok(Given { name: letter, value })
}

/// One letter or more behind a dash.
fn letters<'a>(
    word: &str,
    words: &mut impl Iterator<Item = &'a String>,
    given: &mut Vec<Given>,
) -> Result<(), LineError> {
    for (at, letter) in word.char_indices() {
        let after = word.get(at + letter.len_utf8()..).unwrap_or_default();
        let known = LETTERS.iter().find(|(name, _)| name.starts_with(letter));
        let option = || format!("-{letter}");
        let (name, takes) = known.ok_or_else(|| LineError::Unknown { option: option() })?;
        let rest = (!after.is_empty()).then(|| after.to_owned());
        let value = match takes {
            No => {
                given.push(Given { name, value: None });
                continue;
            }
            Perhaps => rest,
            Value => {
                let next = rest.or_else(|| words.next().cloned());
                Some(next.ok_or_else(|| LineError::Missing { option: option() })?)
            }
        };
        given.push(Given { name, value });
        return Ok(());
    }
    Ok(())
}

/// The options of a configuration file.
pub(super) fn of_file(path: &str, text: &str) -> Result<Vec<Given>, LineError> {
    let bad = |line| LineError::Config { path: path.to_owned(), line };
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, first)| first != "% minijail-config-file v0") {
        return Err(bad(1));
    }
    let mut given = Vec::new();
    while let Some((number, line)) = lines.next() {
        let mut whole = line.to_owned();
        while let Some(begun) = whole.strip_suffix('\\') {
            let (_, next) = lines.next().ok_or_else(|| bad(number))?;
            whole = format!("{begun} {next}");
        }
        let line = whole.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim().to_owned())),
            None => (line, None),
        };
        if key.is_empty() || value.as_ref().is_some_and(String::is_empty) {
            return Err(bad(number));
        }
        let (name, takes) = named(key).ok_or_else(|| bad(number))?;
        if name == "config" || takes == Value && value.is_none() {
            return Err(bad(number));
        }
        given.push(Given { name, value });
    }
    Ok(given)
}

fn named(key: &str) -> Option<(&'static str, Takes)> {
    let long = LONG.iter().find(|(long, ..)| *long == key);
    let long = long.map(|(_, letter, takes)| (*letter, *takes));
    long.or_else(|| LETTERS.iter().copied().find(|(letter, _)| *letter == key))
}

/// The text of a configuration file with these options.
pub(super) fn to_file(given: &[Given]) -> String {
    let mut text = String::from("% minijail-config-file v0\n\n");
    for Given { name, value } in given {
        if ["config", "gen-config"].contains(name) {
            continue;
        }
        let long = LONG.iter().find(|(_, letter, _)| letter == name);
        text.push_str(long.map_or(name, |(long, ..)| long));
        if let Some(value) = value {
            text.push_str(" = ");
            text.push_str(value);
        }
        text.push('\n');
    }
    text
}
