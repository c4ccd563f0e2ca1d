//! What the fuzz target does with a command line.

use std::io;
use std::path::Path;

use super::line::{Host, Request, read};
use super::lower::{Caller, lower};
use crate::policy::{Files, Found};

/// Lines are words; what follows a line of `%` is what every file holds. It is refused, or can be lowered.
#[doc(hidden)]
pub fn fuzz(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (line, file) = text.split_once("\n%\n").unwrap_or((&text, ""));
    let words: Vec<_> = line.lines().map(str::to_owned).collect();
    match read(&words, &mut Same(file)) {
        Ok(Request::Run(jail, _)) => {
            assert!(!jail.argv.is_empty());
            let _ = lower(&jail, &Caller { has_terminal: true });
        }
        Ok(Request::Config { text, .. }) => {
            assert!(text.starts_with("% minijail-config-file v0\n"))
        }
        Ok(Request::Help | Request::Calls) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A host whose files are all the same.
struct Same<'a>(&'a str);

impl Files for Same<'_> {
    fn read(&mut self, _: &str, path: &str) -> io::Result<Found> {
        Ok(Found { name: path.to_owned(), text: self.0.to_owned() })
    }
}

impl Host for Same<'_> {
    fn bytes(&mut self, _: &str, most: Option<usize>) -> io::Result<Vec<u8>> {
        let bytes = self.0.as_bytes();
        let length = most.unwrap_or(bytes.len()).min(bytes.len());
        Ok(bytes.get(..length).unwrap_or_default().to_vec())
    }

    fn exists(&mut self, path: &str) -> bool {
        path == "there"
    }

    fn is_executable(&mut self, _: &Path) -> bool {
        true
    }

    fn ids(&mut self) -> [u32; 2] {
        [1000, 100]
    }

    fn sets_groups(&mut self) -> bool {
        false
    }

    fn environment(&mut self) -> Vec<String> {
        vec!["A=b".into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_named() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/jail_line");
        let mut count = 0;
        for entry in std::fs::read_dir(seeds).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let input = std::fs::read(&path).unwrap();
            fuzz(&input);
            let text = String::from_utf8(input).unwrap();
            let (line, file) = text.split_once("\n%\n").unwrap_or((&text, ""));
            let words: Vec<_> = line.lines().map(str::to_owned).collect();
            let read = read(&words, &mut Same(file));
            assert_eq!(read.is_ok(), !name.starts_with("bad_"), "{name}: {read:?}");
            count += 1;
        }
        assert!(count >= 8);
    }
}
