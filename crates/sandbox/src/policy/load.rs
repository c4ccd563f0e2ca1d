//! A policy with all that it includes.

use std::collections::HashMap;
use std::io;

use creel_codec::bpf::call::Call;
use creel_codec::bpf::policy::Action;

use super::ast::{Clause, Form, Misplaced, Named, Place, Rule, Statement, Verb};
use super::constants::{Constants, changes};
use super::error::{Fault, PolicyError};
use super::parse;
use super::remark::Remark;
use super::rules::{Branch, Decision, Rules, Test, TestOp};
use super::{Meaning, Settings};

/// The most bytes of all files together.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// The most files.
pub(super) const MAX_FILES: usize = 64;
/// How many files may include one another; minijail's compiler takes as many.
pub(super) const MAX_DEPTH: usize = 10;
const EPERM: u16 = 1;

/// Reads what a policy includes.
pub trait Files {
    /// Reads the file that stands as `path` in the one called `from`.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    fn read(&mut self, from: &str, path: &str) -> io::Result<Found>;
}

/// A file that a policy includes.
#[derive(Clone, Debug)]
pub struct Found {
    /// A name that no other file has.
    pub name: String,
    /// Its contents.
    pub text: String,
}

/// Reads a policy, see [`super::read`].
pub(super) fn load(
    name: &str,
    text: &str,
    settings: &Settings,
    files: &mut dyn Files,
) -> Result<Rules, PolicyError> {
    let constants = Constants::of(settings.arch);
    let mut loader = Loader {
        settings,
        constants,
        files,
        open: Vec::new(),
        count: 0,
        bytes: 0,
        default: None,
        decisions: Vec::new(),
        known: HashMap::new(),
        frequencies: HashMap::new(),
        remarks: Vec::new(),
    };
    let denylist = loader.file(name, text, false, Origin::Given)?;
    Ok(loader.finish(denylist))
}

/// Where a file is named, for errors about the file as a whole.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Given,
    Included(&'a str, Place),
}

struct Loader<'a> {
    settings: &'a Settings,
    constants: Constants,
    files: &'a mut dyn Files,
    /// Those that include the one that is being read, and this one.
    open: Vec<String>,
    count: usize,
    bytes: usize,
    default: Option<Verb>,
    decisions: Vec<Decision>,
    known: HashMap<Call, usize>,
    frequencies: HashMap<Call, u64>,
    remarks: Vec<Remark>,
}

impl Loader<'_> {
    /// Whether it is a denylist.
    fn file(
        &mut self,
        name: &str,
        text: &str,
        denylist: bool,
        origin: Origin<'_>,
    ) -> Result<bool, PolicyError> {
        let refused = |fault| match origin {
            Origin::Given => error(name, Place { line: 1, column: 1 }, fault),
            Origin::Included(from, place) => error(from, place, fault),
        };
        if self.open.iter().any(|open| open == name) {
            return Err(refused(Fault::Loop(name.to_owned())));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(refused(Fault::Depth));
        }
        self.take(text).map_err(refused)?;
        let read = parse::text(text, self.settings, &self.constants, denylist);
        let read = read.map_err(|Misplaced { place, fault }| error(name, place, fault))?;
        self.open.push(name.to_owned());
        for statement in read.statements {
            self.statement(name, statement, read.denylist)?;
        }
        self.open.pop();
        Ok(read.denylist)
    }

    /// Counts a file that is about to be read.
    fn take(&mut self, text: &str) -> Result<(), Fault> {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(text.len());
        match () {
            () if self.count > MAX_FILES => Err(Fault::Files),
            () if self.bytes > MAX_BYTES => Err(Fault::TooLong),
            () => Ok(()),
        }
    }

    fn statement(
        &mut self,
        name: &str,
        statement: Statement,
        denylist: bool,
    ) -> Result<(), PolicyError> {
        match statement {
            Statement::Include { path, place } => {
                let found = self.read(name, &path, place)?;
                self.file(&found.name, &found.text, denylist, Origin::Included(name, place))?;
            }
            Statement::Frequency { path, place } => {
                let found = self.read(name, &path, place)?;
                self.take(&found.text).map_err(|fault| error(name, place, fault))?;
                self.frequency(&found)?;
            }
            Statement::Default { place, .. } if denylist => {
                return Err(error(name, place, Fault::Denylist));
            }
            Statement::Default { verb, .. } => self.default = Some(verb),
            Statement::Denylist => {}
            Statement::Rule(rule) => self.rule(name, &rule, denylist)?,
        }
        Ok(())
    }

    fn read(&mut self, from: &str, path: &str, place: Place) -> Result<Found, PolicyError> {
        self.files.read(from, path).map_err(|reason| {
            let fault = Fault::Include { path: path.to_owned(), reason: reason.to_string() };
            error(from, place, fault)
        })
    }

    fn frequency(&mut self, found: &Found) -> Result<(), PolicyError> {
        let lines = parse::frequencies(&found.text, self.settings, &self.constants)
            .map_err(|Misplaced { place, fault }| error(&found.name, place, fault))?;
        for (named, times) in lines.into_iter().filter_map(|(named, times)| Some((named?, times))) {
            if let Some(call) = self.call(&found.name, &named)? {
                let count = self.frequencies.entry(call).or_default();
                *count = count.saturating_add(times);
            }
        }
        Ok(())
    }

    /// The call of a name; none if it shall be left out.
    fn call(&mut self, file: &str, named: &Named) -> Result<Option<Call>, PolicyError> {
        let Named { name, call, place } = named;
        if call.is_none() {
            if !self.settings.log {
                return Err(error(file, *place, unknown(name, self.settings)));
            }
            let (place, name) = (shown(file, *place), name.clone());
            self.remarks.push(Remark::Unknown { place, name });
        }
        Ok(*call)
    }

    fn rule(&mut self, file: &str, rule: &Rule, denylist: bool) -> Result<(), PolicyError> {
        if denylist
            && let Some(other) =
                rule.clauses.iter().find(|clause| !matches!(clause.verb, Verb::Errno(_)))
        {
            return Err(error(file, other.place, Fault::Denylist));
        }
        if rule.form == Form::Otherwise && !denylist {
            self.remarks.push(Remark::Ambiguous { place: shown(file, rule.place) });
        }
        for test in rule.clauses.iter().flat_map(|clause| clause.any_of.iter().flatten()) {
            self.remarks.extend(odd(test, shown(file, rule.place)));
        }
        let branches: Vec<_> =
            rule.clauses.iter().map(|clause| self.branch(file, clause, denylist)).collect();
        for named in &rule.calls {
            let Some(call) = self.call(file, named)? else { continue };
            self.decide(file, named, call, &branches, denylist)?;
        }
        Ok(())
    }

    /// Adds what a line says about a call.
    fn decide(
        &mut self,
        file: &str,
        named: &Named,
        call: Call,
        branches: &[Branch],
        denylist: bool,
    ) -> Result<(), PolicyError> {
        let index = *self.known.entry(call).or_insert_with(|| {
            self.decisions.push(Decision { call, branches: Vec::new(), frequency: None });
            self.decisions.len() - 1
        });
        let Some(decision) = self.decisions.get_mut(index) else { return Ok(()) };
        let first_decides = self.settings.meaning == Meaning::Launcher && !denylist;
        if let Some(first) = decision.branches.first().filter(|_| first_decides) {
            let (place, name) = (shown(file, named.place), named.name.clone());
            self.remarks.push(Remark::Repeated { place, name, earlier: first.place.clone() });
            return Ok(());
        }
        for branch in branches {
            let last = decision.branches.last().filter(|last| last.any_of.is_empty());
            if let Some(last) = last {
                let (name, earlier) = (named.name.clone(), last.place.clone());
                return Err(error(file, named.place, Fault::Decided { name, earlier }));
            }
            decision.branches.push(branch.clone());
        }
        Ok(())
    }

    fn branch(&self, file: &str, clause: &Clause, denylist: bool) -> Branch {
        let action = self.action(clause.verb, denylist);
        let place = format!("{file}:{}", clause.place.line);
        Branch { any_of: clause.any_of.clone(), action, place }
    }

    fn action(&self, verb: Verb, denylist: bool) -> Action {
        let Settings { log, meaning, kill, .. } = self.settings;
        match verb {
            Verb::Allow => Action::Allow,
            Verb::Kill if *log => Action::Log,
            Verb::Kill if denylist => Action::Errno(EPERM),
            Verb::Kill => *kill,
            Verb::KillProcess => Action::KillProcess,
            Verb::KillThread => Action::KillThread,
            Verb::Trap => Action::Trap,
            Verb::Trace => Action::Trace(0),
            Verb::Log => Action::Log,
            Verb::Notify => Action::Notify,
            // minijail0 logs what would end the process, the compiler also what returns an error.
            Verb::Errno(_) if *log && (*meaning == Meaning::Compiler || denylist) => Action::Log,
            Verb::Errno(errno) => Action::Errno(errno),
        }
    }

    fn finish(mut self, denylist: bool) -> Rules {
        for decision in &mut self.decisions {
            decision.frequency = self.frequencies.get(&decision.call).copied();
        }
        let own = match denylist {
            true => Action::Allow,
            false => self.action(self.default.unwrap_or(Verb::Kill), denylist),
        };
        Rules {
            arch: self.settings.arch,
            default: self.settings.default.unwrap_or(own),
            decisions: self.decisions,
            remarks: self.remarks,
        }
    }
}

/// What is odd about a test.
fn odd(test: &Test, place: String) -> Option<Remark> {
    let words = test.to_string();
    let is_negative = test.value >> 31 == u64::MAX >> 31;
    match test.op {
        TestOp::Any if test.value == 0 => Some(Remark::Never { place, test: words }),
        TestOp::Eq | TestOp::Ne if is_negative => Some(Remark::Negative { place, test: words }),
        _ => None,
    }
}

fn unknown(name: &str, settings: &Settings) -> Fault {
    let calls = Call::all().filter(|call| call.number(settings.arch).is_some()).map(Call::name);
    let rated = calls.map(|known| (changes(known, name), known)).min();
    let similar = rated.filter(|(changes, _)| *changes <= 2).map(|(_, known)| known);
    Fault::Call { name: name.to_owned(), similar }
}

fn shown(file: &str, Place { line, column }: Place) -> String {
    format!("{file}:{line}:{column}")
}

fn error(file: &str, Place { line, column }: Place, fault: Fault) -> PolicyError {
    PolicyError { file: file.to_owned(), line, column, fault }
}
