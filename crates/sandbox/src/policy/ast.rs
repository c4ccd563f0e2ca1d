//! A policy as it is written.

use creel_codec::bpf::call::Call;

use super::error::Fault;
use super::rules::Test;

/// Where something stands in its file; lines and characters from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// What is wrong at a place.
#[derive(Debug)]
pub(super) struct Misplaced {
    pub(super) place: Place,
    pub(super) fault: Fault,
}

/// What reading a part of a file gives.
pub(super) type Parsed<T> = Result<T, Misplaced>;

/// What to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Allow,
    /// What the settings say.
    Kill,
    KillProcess,
    KillThread,
    Trap,
    Trace,
    Log,
    Notify,
    Errno(u16),
}

/// A condition and what is done if it holds.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    /// One of these must hold, and all tests of it; always if there is none.
    pub(super) any_of: Vec<Vec<Test>>,
    pub(super) verb: Verb,
    pub(super) place: Place,
}

/// A call that a line is about.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    /// None if the architecture has none of this name.
    pub(super) call: Option<Call>,
    pub(super) place: Place,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) enum Statement {
    Include { path: String, place: Place },
    Frequency { path: String, place: Place },
    Default { verb: Verb, place: Place },
    Denylist,
    Rule(Rule),
}

/// A line about calls.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) calls: Vec<Named>,
    /// In the order in which they are tried.
    pub(super) clauses: Vec<Clause>,
    pub(super) form: Form,
    pub(super) place: Place,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// So that all readers agree about it.
    Plain,
    /// As an expression and an action without braces, see [`super::Meaning`].
    Otherwise,
}
