//! `--change`: instructions of a Containerfile that change how an image is run.
//!
//! Source: docker-import(1) and podman-import(1), `--change`; the Dockerfile reference for each
//! instruction's forms. No variable is expanded: there is no build whose variables these could be.

use crate::document::Execution;

/// Why an instruction is refused.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The instruction is none of those that change how an image is run.
    #[error(
        "cannot change an image by `{word}`: expected CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR"
    )]
    Unknown {
        /// The first word, cut to 32 characters.
        word: String,
    },
    /// Nothing follows the instruction.
    #[error("`{word}` has no value")]
    NoValue {
        /// The instruction.
        word: &'static str,
    },
    /// A pair is not `NAME=VALUE`.
    #[error("`{word}` has `{text}` where `NAME=VALUE` belongs")]
    Pair {
        /// The instruction.
        word: &'static str,
        /// What was there, cut to 64 characters.
        text: String,
    },
    /// A quotation mark is not closed.
    #[error("`{word}` has a quotation mark that is not closed")]
    Quote {
        /// The instruction.
        word: &'static str,
    },
}

impl creel_base::hint::Hint for ChangeError {}

/// Applies one instruction, such as `CMD ["/bin/sh"]`, `ENV A=1` or `USER web`.
///
/// # Errors
/// [`ChangeError`]; nothing is changed then.
pub fn apply(execution: &mut Execution, line: &str) -> Result<(), ChangeError> {
    let line = line.trim();
    // Docker also takes `CMD=…`.
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    let upper = word.to_ascii_uppercase();
    let Some(word) = WORDS.into_iter().find(|known| *known == upper) else {
        return Err(ChangeError::Unknown { word: word.chars().take(32).collect() });
    };
    if rest.is_empty() {
        return Err(ChangeError::NoValue { word });
    }
    match word {
        "CMD" => execution.cmd = Some(command(rest)),
        "ENTRYPOINT" => {
            execution.entrypoint = Some(command(rest));
            // What followed the old entry point means nothing to the new one, as with a build.
            execution.cmd = None;
        }
        "ENV" => environment(execution, pairs(word, rest)?),
        "LABEL" => execution.labels.extend(pairs(word, rest)?),
        "EXPOSE" => rest.split_whitespace().for_each(|port| expose(execution, port)),
        "VOLUME" => {
            let paths = list(rest).unwrap_or_else(|| words(rest));
            execution.volumes.extend(paths.into_iter().map(|path| (path, empty())));
        }
        "ONBUILD" => execution.on_build.push(rest.to_owned()),
        "STOPSIGNAL" => execution.stop_signal = Some(rest.to_owned()),
        "USER" => execution.user = rest.to_owned(),
        _ => execution.working_dir = rest.to_owned(),
    }
    Ok(())
}

const WORDS: [&str; 10] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The exec form where it parses as one, else a line for the shell.
fn command(rest: &str) -> Vec<String> {
    list(rest).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), rest.to_owned()])
}

fn list(rest: &str) -> Option<Vec<String>> {
    rest.starts_with('[').then(|| serde_json::from_str(rest).ok())?
}

fn words(rest: &str) -> Vec<String> {
    rest.split_whitespace().map(str::to_owned).collect()
}

/// The value of a key in a set, as the configuration has sets.
fn empty() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn expose(execution: &mut Execution, port: &str) {
    let port = if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") };
    execution.exposed_ports.insert(port, empty());
}

fn environment(execution: &mut Execution, pairs: Vec<(String, String)>) {
    for (name, value) in pairs {
        let start = format!("{name}=");
        let entry = format!("{start}{value}");
        match execution.env.iter_mut().find(|old| old.starts_with(&start)) {
            Some(old) => *old = entry,
            None => execution.env.push(entry),
        }
    }
}

/// `NAME=VALUE …`, or the old `NAME VALUE` with the rest of the line as its value.
fn pairs(word: &'static str, rest: &str) -> Result<Vec<(String, String)>, ChangeError> {
    let tokens = tokens(rest).ok_or(ChangeError::Quote { word })?;
    let bad = |text: &str| ChangeError::Pair { word, text: text.chars().take(64).collect() };
    let named = |(name, value): (&str, &str)| {
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    match tokens.first() {
        Some(first) if !first.contains('=') => {
            let pair = rest.split_once(char::is_whitespace).ok_or_else(|| bad(rest))?;
            Ok(vec![named((pair.0, pair.1.trim())).ok_or_else(|| bad(rest))?])
        }
        _ => tokens
            .iter()
            .map(|token| token.split_once('=').and_then(named).ok_or_else(|| bad(token)))
            .collect(),
    }
}

/// Splits at blanks outside quotation marks, takes those away, and backslashes before what they
/// protect; `None` for a mark that is not closed.
fn tokens(rest: &str) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    let mut quote = None;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => token.extend(chars.next()),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(mark)) if c == mark => quote = None,
            (c, None) if c.is_whitespace() => {
                if !token.is_empty() {
                    tokens.push(std::mem::take(&mut token));
                }
            }
            (c, _) => token.push(c),
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    quote.is_none().then_some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(lines: &[&str]) -> Execution {
        let mut execution = Execution::default();
        for line in lines {
            apply(&mut execution, line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        execution
    }

    #[test]
    fn applies_every_instruction() {
        let lines = [
            "CMD [\"a\", \"b c\"]",
            "entrypoint /run me",
            "ENV A=1 B=\"two words\" C=x\\ y",
            "ENV A 1 2",
            "EXPOSE 80 53/udp",
            "LABEL k='v=w'",
            "STOPSIGNAL SIGINT",
            "USER web:web",
            "VOLUME [\"/a b\"]",
            "VOLUME /c /d",
            "WORKDIR /srv",
            "ONBUILD RUN x",
        ];
        let found = changed(&lines);
        assert_eq!(found.cmd, None);
        assert_eq!(found.entrypoint.unwrap(), ["/bin/sh", "-c", "/run me"]);
        assert_eq!(found.env, ["A=1 2", "B=two words", "C=x y"]);
        assert_eq!(found.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!(found.labels["k"], "v=w");
        assert_eq!(found.volumes.keys().collect::<Vec<_>>(), ["/a b", "/c", "/d"]);
        assert_eq!((found.user.as_str(), found.working_dir.as_str()), ("web:web", "/srv"));
        assert_eq!(found.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(found.on_build, ["RUN x"]);
        assert_eq!(changed(&["CMD=[\"a\"]"]).cmd.unwrap(), ["a"]);
    }

    #[test]
    fn refuses_the_rest() {
        for line in
            ["", "FROM x", "RUN x", "CMD", "ENV", "ENV A", "ENV =1", "ENV A=\"1", "LABEL A=1 B"]
        {
            assert!(apply(&mut Execution::default(), line).is_err(), "{line}");
        }
    }
}
