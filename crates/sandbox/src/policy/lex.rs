//! Words and signs of a line.

use super::ast::{Misplaced, Parsed, Place};
use super::error::Fault;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, a keyword, an argument.
    Word,
    /// Something that begins as a number.
    Number,
    /// `@` and a name.
    Directive,
    /// What a directive names.
    Path,
    /// One of [`SIGNS`].
    Sign,
}

/// A word or a sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) place: Place,
}

/// A line with those that it goes on with.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// Where it ends.
    pub(super) end: Place,
}

/// Longer ones before those that they begin with.
const SIGNS: [&str; 21] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "=", "&", "|", "~", ":", ";", ",", "(", ")", "{",
    "}", "[", "]",
];

/// Divides a text into lines that say something.
pub(super) fn lines(text: &str) -> Parsed<Vec<Line<'_>>> {
    let (mut lines, mut tokens) = (Vec::new(), Vec::new());
    let mut end = Place::default();
    let mut continues = false;
    for (number, line) in (1..).zip(text.lines()) {
        let mut scanner = Scanner { line, rest: line, place: Place { line: number, column: 1 } };
        continues = scanner.scan(&mut tokens)?;
        end = scanner.place;
        if !continues && !tokens.is_empty() {
            lines.push(Line { tokens: std::mem::take(&mut tokens), end });
        }
    }
    if continues {
        return Err(Misplaced { place: end, fault: Fault::Unfinished });
    }
    Ok(lines)
}

struct Scanner<'a> {
    line: &'a str,
    rest: &'a str,
    /// Of the rest.
    place: Place,
}

impl<'a> Scanner<'a> {
    /// The next bytes of the line.
    fn next(&mut self, length: usize) -> &'a str {
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        let passed = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        self.place.column = self.place.column.saturating_add(passed);
        text
    }

    fn skip_space(&mut self) {
        self.next(self.rest.len() - self.rest.trim_start().len());
    }

    /// Adds the tokens of the line; whether it goes on in the next one.
    fn scan(&mut self, tokens: &mut Vec<Token<'a>>) -> Parsed<bool> {
        loop {
            self.skip_space();
            let Some(first) = self.rest.chars().next() else { return Ok(false) };
            if self.rest == "\\" {
                return Ok(true);
            }
            if first == '#' {
                return match self.line.ends_with('\\') {
                    true => Err(self.fault(Fault::CommentContinues)),
                    false => Ok(false),
                };
            }
            tokens.push(self.token(first, tokens.last().copied())?);
        }
    }

    fn token(&mut self, first: char, before: Option<Token<'_>>) -> Parsed<Token<'a>> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        // Names of actions and of groups have more in them; numbers do not.
        let is_name = |c: char| is_word(c) || c == '-' || c == '@';
        if before.is_some_and(|before| before.kind == Kind::Directive && takes_path(before.text)) {
            return Ok(self.take(Kind::Path, |c| !c.is_whitespace()));
        }
        match first {
            '@' => Ok(self.take(Kind::Directive, is_name)),
            '0'..='9' => Ok(self.take(Kind::Number, is_word)),
            '-' => Ok(self.take(Kind::Number, |c| is_word(c) || c == '-')),
            _ if is_word(first) => Ok(self.take(Kind::Word, is_name)),
            _ => match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
                Some(sign) => Ok(self.take_bytes(Kind::Sign, sign.len())),
                None => Err(self.fault(Fault::Character(first))),
            },
        }
    }

    fn take(&mut self, kind: Kind, is_in: impl Fn(char) -> bool) -> Token<'a> {
        let length = self.rest.find(|c| !is_in(c)).unwrap_or(self.rest.len());
        self.take_bytes(kind, length)
    }

    fn take_bytes(&mut self, kind: Kind, length: usize) -> Token<'a> {
        let place = self.place;
        Token { kind, text: self.next(length), place }
    }

    fn fault(&self, fault: Fault) -> Misplaced {
        Misplaced { place: self.place, fault }
    }
}

/// Whether a file follows.
pub(super) fn takes_path(directive: &str) -> bool {
    ["@include", "@frequency"].contains(&directive)
}
