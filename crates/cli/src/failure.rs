//! The one place where errors become words and exit codes.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use creel_base::hint::Hint;
use creel_base::printable::{printable, printable_lines};
use creel_manager::containers::RunError;

/// creel itself failed; 126, 127 and 128+n are the container's (as in Docker and Podman).
pub(crate) const FAILED: u8 = 125;

/// A command that did not do what was asked, ready to be told to a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What failed, then why, from the outside in.
    chain: Vec<String>,
    hint: Option<String>,
    code: u8,
}

impl<E: Hint> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { chain: chain(&error), hint: error.hint(), code: FAILED }
    }
}

/// What an error says, then its causes.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // A transparent wrapper says what its source says.
        if chain.last() != Some(&words) {
            chain.push(words);
        }
        cause = error.source();
    }
    chain
}

impl Failure {
    /// Prints what clap has to say: help and versions on standard output, refusals on standard error.
    pub(crate) fn usage(refused: &clap::Error, code: u8) -> ExitCode {
        // A reader that has gone away is no failure of ours.
        if !refused.use_stderr() {
            let _ = refused.print();
            return ExitCode::SUCCESS;
        }
        // Arguments are quoted in it.
        let words = refused.render().to_string();
        let _ = io::stderr().lock().write_all(printable_lines(&words).as_bytes());
        ExitCode::from(code)
    }

    /// What the arguments ask for cannot be, in words.
    pub(crate) fn new(words: &str) -> Self {
        Self { chain: vec![words.to_owned()], hint: None, code: FAILED }
    }

    /// Output could not be written; a closed pipe is the reader's choice and not an error.
    pub(crate) fn output(error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { FAILED };
        Self { chain: vec!["cannot write the output".into(), error.to_string()], hint: None, code }
    }

    /// Prints what is passed over.
    pub(crate) fn remark(words: &str) {
        // Nobody is left to tell when this fails.
        let _ = writeln!(io::stderr().lock(), "note: {}", printable(words));
    }

    /// Prints what is lost for a reason that ends nothing.
    pub(crate) fn note(words: &str, reason: &impl Hint) {
        let mut text =
            format!("note: {}\n", printable(&format!("{words}: {}", chain(reason).join(": "))));
        if let Some(hint) = reason.hint() {
            text.push_str(&format!("hint: {}\n", printable(&hint)));
        }
        // Nobody is left to tell when this fails.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// A container did not run; the code tells a command that is missing from other failures.
    pub(crate) fn run(error: RunError) -> Self {
        let code = error.exit_code();
        Self { code, ..Self::from(error) }
    }

    /// The terminal or the signals of this process cannot be handled.
    pub(crate) fn terminal(error: &io::Error) -> Self {
        let chain = vec!["cannot attach the container to the terminal".into(), error.to_string()];
        Self { chain, hint: None, code: FAILED }
    }

    /// This program's file cannot be put out of reach of a container.
    pub(crate) fn protection(error: &io::Error) -> Self {
        let chain = vec![
            "cannot protect the program's own file from the container".into(),
            error.to_string(),
        ];
        let hint = match rustix::process::geteuid().is_root() {
            true => "run it with `CAP_SYS_ADMIN`, on Linux 5.12 or later",
            false => {
                "run `creel doctor` to see what forbids user namespaces, or let root own the program"
            }
        };
        let hint = hint.into();
        Self { chain, hint: Some(hint), code: FAILED }
    }

    /// A sandbox goes on, and how it ends is not known.
    pub(crate) fn supervision(error: &io::Error) -> Self {
        let chain = vec!["cannot wait for the end of the sandbox".into(), error.to_string()];
        Self { chain, hint: None, code: FAILED }
    }

    /// The working directory, below which relative paths are, cannot be found.
    pub(crate) fn working_directory(error: &io::Error) -> Self {
        let chain = vec!["cannot find the working directory".into(), error.to_string()];
        Self { chain, hint: None, code: FAILED }
    }

    /// The failure with another exit code, as commands have it that stand in for other programs.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The failure as programs read it that call this one: in one line, unless a person sees it on a
    /// terminal.
    pub(crate) fn for_callers(mut self) -> Self {
        if !io::stderr().is_terminal()
            && let Some(hint) = self.hint.take()
            && let Some(last) = self.chain.last_mut()
        {
            last.push_str(&format!(" (hint: {hint})"));
        }
        self
    }

    /// What failed and why, in one line.
    pub(crate) fn message(&self) -> String {
        printable(&self.chain.join(": ")).into_owned()
    }

    /// Prints a failure that does not end the command.
    pub(crate) fn warn(&self) {
        // Nobody is left to tell when this fails.
        let _ = write!(io::stderr().lock(), "{}", self.words());
    }

    /// Prints the failure and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.code != 0 {
            // Nobody is left to tell when this fails.
            let _ = write!(io::stderr().lock(), "{}", self.words());
        }
        ExitCode::from(self.code)
    }

    /// The lines to print. Each part quotes what others have written, and so is escaped.
    fn words(&self) -> String {
        let mut words = format!("error: {}\n", printable(&self.chain.join(": ")));
        if let Some(hint) = &self.hint {
            words.push_str(&format!("\nhint: {}\n", printable(hint)));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("cannot open the store `/x`")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    impl Hint for Outer {
        fn hint(&self) -> Option<String> {
            Some("run `creel doctor`".into())
        }
    }

    #[test]
    fn what_others_have_written_neither_acts_nor_makes_lines() {
        let chain = vec!["cannot pull `\x1b[31mx`".into(), "said\nhint: run `rm`\u{202e}".into()];
        let failure = Failure { chain, hint: Some("write `\u{9b}2J`".into()), code: FAILED };
        assert_eq!(
            failure.words(),
            "error: cannot pull `\\x1b[31mx`: said\\nhint: run `rm`\\u{202e}\n\n\
             hint: write `\\u{9b}2J`\n"
        );
    }

    #[test]
    fn says_what_why_and_what_next() {
        let failure = Failure::from(Outer(io::Error::other("permission denied")));
        assert_eq!(
            failure.words(),
            "error: cannot open the store `/x`: permission denied\n\nhint: run `creel doctor`\n"
        );
    }
}
