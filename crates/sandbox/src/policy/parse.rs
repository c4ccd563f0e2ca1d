//! Lines to statements.

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::call::Call;

use super::ast::{Clause, Form, Misplaced, Named, Parsed, Place, Rule, Statement, Verb};
use super::constants::Constants;
use super::error::Fault;
use super::lex::{Kind, Line, Token, lines, takes_path};
use super::rules::{Test, TestOp};
use super::{Meaning, Settings};

/// How deep parentheses may be in one another.
pub(super) const MAX_NESTING: usize = 32;
/// `MAX_ERRNO` of the kernel's `include/linux/err.h`.
const MAX_ERRNO: u64 = 4095;
/// What architectures are called, here and by minijail.
const ARCHITECTURES: [(Arch, &str); 6] = [
    (Arch::X86_64, "x86_64"),
    (Arch::X32, "x32"),
    (Arch::I386, "x86"),
    (Arch::Aarch64, "arm64"),
    (Arch::Arm, "arm"),
    (Arch::Riscv64, "riscv64"),
];

/// A file as it is written.
pub(super) struct Text {
    pub(super) statements: Vec<Statement>,
    pub(super) denylist: bool,
}

/// Reads a text that is part of a denylist or not, if it does not say itself that it is.
pub(super) fn text(
    text: &str,
    settings: &Settings,
    constants: &Constants,
    denylist: bool,
) -> Parsed<Text> {
    let lines = lines(text)?;
    let says = |line: &Line<'_>| line.tokens.first().is_some_and(|token| token.text == "@denylist");
    let denylist = denylist || lines.iter().any(says);
    // Only minijail's compiler has denylists.
    let meaning = if denylist { Meaning::Compiler } else { settings.meaning };
    let parser = |line| Parser { settings, constants, meaning, line, at: 0 };
    let statements = lines.iter().map(|line| parser(line).statement()).collect::<Parsed<_>>()?;
    Ok(Text { statements, denylist })
}

/// What the lines of a frequency file count.
pub(super) fn frequencies(
    text: &str,
    settings: &Settings,
    constants: &Constants,
) -> Parsed<Vec<(Option<Named>, u64)>> {
    let meaning = settings.meaning;
    let parser = |line| Parser { settings, constants, meaning, line, at: 0 };
    lines(text)?.iter().map(|line| parser(line).frequency()).collect()
}

/// A cursor on a line.
struct Parser<'a> {
    settings: &'a Settings,
    constants: &'a Constants,
    meaning: Meaning,
    line: &'a Line<'a>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn statement(mut self) -> Parsed<Statement> {
        let statement = match self.peek() {
            Some(token) if token.kind == Kind::Directive => self.directive(token)?,
            _ => Statement::Rule(self.rule()?),
        };
        self.expect_end()?;
        Ok(statement)
    }

    fn directive(&mut self, directive: Token<'a>) -> Parsed<Statement> {
        self.at += 1;
        let place = directive.place;
        Ok(match directive.text {
            "@denylist" => Statement::Denylist,
            "@default" => {
                let verb = self.verb()?;
                match verb {
                    Verb::Allow | Verb::Trace | Verb::Log | Verb::Errno(_) => {
                        return Err(Misplaced { place, fault: Fault::PermissiveDefault });
                    }
                    _ => Statement::Default { verb, place },
                }
            }
            text if takes_path(text) => {
                let path = self.next("PATH")?;
                if !path.text.starts_with('/') && !path.text.starts_with("./") {
                    return Err(at(path, Fault::Relative));
                }
                let place = path.place;
                let path = path.text.to_owned();
                match text {
                    "@include" => Statement::Include { path, place },
                    _ => Statement::Frequency { path, place },
                }
            }
            text => return Err(at(directive, Fault::Directive(text.to_owned()))),
        })
    }

    fn frequency(mut self) -> Parsed<(Option<Named>, u64)> {
        let named = self.descriptor()?;
        self.expect(":")?;
        let count = self.next("NUMBER")?;
        let count = self.number(count)?;
        self.expect_end()?;
        Ok((named, count))
    }

    fn rule(&mut self) -> Parsed<Rule> {
        let place = self.place();
        let calls = match self.accept("{") {
            true => self.list("}", Self::descriptor)?,
            false => vec![self.descriptor()?],
        };
        self.expect(":")?;
        let (clauses, form) = match self.accept("{") {
            true => {
                let clauses = self.list("}", |parser| parser.clause(true))?;
                (clauses.into_iter().flat_map(|(clauses, _)| clauses).collect(), Form::Plain)
            }
            false => self.clause(false)?,
        };
        Ok(Rule { calls: calls.into_iter().flatten().collect(), clauses, form, place })
    }

    /// Items with commas in between, up to a bracket.
    fn list<T>(
        &mut self,
        close: &'static str,
        item: impl Fn(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept(",") {
            items.push(item(self)?);
        }
        self.expect(close)?;
        Ok(items)
    }

    /// None if it is for other architectures only.
    fn descriptor(&mut self) -> Parsed<Option<Named>> {
        let token = self.next("NAME")?;
        let applies = match self.accept("[") {
            true => self.keys()?,
            false => true,
        };
        if token.text.contains('@') {
            return Err(at(token, Fault::Group(token.text.to_owned())));
        }
        let call = match token.kind {
            Kind::Word => Call::find(token.text),
            Kind::Number => {
                let number = u32::try_from(self.number(token)?).ok();
                number.and_then(|number| Call::numbered(self.settings.arch, number))
            }
            _ => return Err(expected("NAME", token)),
        };
        let call = call.filter(|call| call.number(self.settings.arch).is_some());
        let named = Named { name: token.text.to_owned(), call, place: token.place };
        Ok(applies.then_some(named))
    }

    /// Whether the keys of a call apply to the architecture.
    fn keys(&mut self) -> Parsed<bool> {
        let mut applies = true;
        loop {
            let key = self.next("arch")?;
            if key.text != "arch" {
                return Err(at(key, Fault::Key(key.text.to_owned())));
            }
            self.expect("=")?;
            let mut names = vec![self.next("ARCHITECTURE")?];
            while self.accept(",") {
                names.push(self.next("ARCHITECTURE")?);
            }
            let own = |name: &Token<'_>| is_named(self.settings.arch, name.text);
            applies &= names.iter().any(own);
            if !self.accept(";") {
                self.expect("]")?;
                return Ok(applies);
            }
        }
    }

    /// An expression with or without an action, or an action; two clauses where the action is for calls
    /// for which the expression does not hold.
    fn clause(&mut self, braced: bool) -> Parsed<(Vec<Clause>, Form)> {
        let place = self.place();
        let starts_with_argument = self.peek().is_some_and(|token| is_argument(&token));
        if !starts_with_argument {
            let clause = Clause { any_of: Vec::new(), verb: self.verb()?, place };
            return Ok((vec![clause], Form::Plain));
        }
        let any_of = self.expression()?;
        if !self.accept(";") {
            return Ok((vec![Clause { any_of, verb: Verb::Allow, place }], Form::Plain));
        }
        let action = self.place();
        let returns = self.peek().is_some_and(|token| token.text == "return");
        let verb = self.verb()?;
        if braced {
            return Ok((vec![Clause { any_of, verb, place }], Form::Plain));
        }
        if self.meaning == Meaning::Compiler {
            return Ok((vec![Clause { any_of, verb, place }], Form::Otherwise));
        }
        if !returns {
            return Err(Misplaced { place: action, fault: Fault::Ambiguous });
        }
        let allowed = Clause { any_of, verb: Verb::Allow, place };
        let others = Clause { any_of: Vec::new(), verb, place: action };
        Ok((vec![allowed, others], Form::Otherwise))
    }

    fn verb(&mut self) -> Parsed<Verb> {
        let token = self.next("ACTION")?;
        Ok(match token.text {
            "1" | "allow" => Verb::Allow,
            "kill" => Verb::Kill,
            "kill-process" => Verb::KillProcess,
            "kill-thread" => Verb::KillThread,
            "trap" => Verb::Trap,
            "trace" => Verb::Trace,
            "log" => Verb::Log,
            "user-notify" => Verb::Notify,
            // As minijail0 has it: without a number, what is done with all other calls.
            "return" if self.peek().is_none() => Verb::Kill,
            "return" => {
                let place = self.place();
                let value = self.value(0)?;
                let errno = u16::try_from(value).ok().filter(|_| value <= MAX_ERRNO);
                Verb::Errno(errno.ok_or(Misplaced { place, fault: Fault::Errno(value) })?)
            }
            text => return Err(at(token, Fault::Action(text.to_owned()))),
        })
    }

    fn expression(&mut self) -> Parsed<Vec<Vec<Test>>> {
        let mut any_of = vec![self.conjunction()?];
        while self.accept("||") {
            any_of.push(self.conjunction()?);
        }
        Ok(any_of)
    }

    fn conjunction(&mut self) -> Parsed<Vec<Test>> {
        let mut all_of = vec![self.test()?];
        while self.accept("&&") {
            all_of.push(self.test()?);
        }
        Ok(all_of)
    }

    fn test(&mut self) -> Parsed<Test> {
        let argument = self.next("ARGUMENT")?;
        let digits = argument.text.strip_prefix("arg").filter(|digits| digits.len() == 1);
        let arg = digits.and_then(|digits| digits.parse().ok()).filter(|arg| *arg < 6);
        let arg = arg.ok_or_else(|| at(argument, Fault::Argument(argument.text.to_owned())))?;
        let operator = self.next("OPERATOR")?;
        let op = match operator.text {
            "==" => TestOp::Eq,
            "!=" => TestOp::Ne,
            "<" => TestOp::Lt,
            "<=" => TestOp::Le,
            ">" => TestOp::Gt,
            ">=" => TestOp::Ge,
            "&" => TestOp::Any,
            "in" => TestOp::In,
            _ => return Err(expected("OPERATOR", operator)),
        };
        let begin = self.at;
        let value = self.value(0)?;
        let words = self.line.tokens.get(begin..self.at).unwrap_or_default();
        let words = words.iter().map(|token| token.text).collect();
        Ok(Test { arg, op, value, words })
    }

    fn value(&mut self, depth: usize) -> Parsed<u64> {
        let mut value = self.constant(depth)?;
        while self.accept("|") {
            value |= self.constant(depth)?;
        }
        Ok(value)
    }

    fn constant(&mut self, depth: usize) -> Parsed<u64> {
        if depth > MAX_NESTING {
            return Err(Misplaced { place: self.place(), fault: Fault::Nesting });
        }
        let inverted = self.accept("~");
        let value = if self.accept("(") {
            let value = self.value(depth + 1)?;
            self.expect(")")?;
            value
        } else {
            let token = self.next("VALUE")?;
            match token.kind {
                Kind::Number => self.number(token)?,
                Kind::Word => self.named(token)?,
                _ => return Err(expected("VALUE", token)),
            }
        };
        Ok(if inverted { !value } else { value })
    }

    fn named(&self, token: Token<'_>) -> Parsed<u64> {
        let name = token.text;
        self.constants.value(name).ok_or_else(|| {
            let similar = self.constants.similar(name).map(str::to_owned);
            at(token, Fault::Constant { name: name.to_owned(), similar })
        })
    }

    /// As `strtol` and `strtoul` read it: the latter where it does not fit into the former.
    fn number(&self, token: Token<'_>) -> Parsed<u64> {
        let (negative, digits) = match token.text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, token.text),
        };
        let lower = digits.to_ascii_lowercase();
        let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
            (Some(digits), _) => (digits, 16),
            (None, Some(digits)) if !digits.is_empty() => (digits, 8),
            _ => (lower.as_str(), 10),
        };
        // `from_str_radix` takes a sign too.
        let value =
            Some(digits).filter(|digits| digits.starts_with(|c: char| c.is_ascii_hexdigit()));
        let value = value.and_then(|digits| u64::from_str_radix(digits, radix).ok());
        let value = value.filter(|value| !negative || *value <= 1 << 63);
        let value = value.ok_or_else(|| at(token, Fault::Number(token.text.to_owned())))?;
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.line.tokens.get(self.at).copied()
    }

    fn next(&mut self, expected: &'static str) -> Parsed<Token<'a>> {
        let token = self.peek();
        self.at += 1;
        let end = self.line.end;
        token.ok_or(Misplaced { place: end, fault: Fault::End { expected } })
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == Kind::Sign && token.text == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Parsed<()> {
        match self.accept(sign) {
            true => Ok(()),
            false => Err(expected(sign, self.next(sign)?)),
        }
    }

    fn expect_end(&self) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(token) => Err(expected("the end of the line", token)),
        }
    }

    fn place(&self) -> Place {
        self.peek().map_or(self.line.end, |token| token.place)
    }
}

/// Whether an architecture is meant by a name.
fn is_named(arch: Arch, name: &str) -> bool {
    arch.name() == name || ARCHITECTURES.contains(&(arch, name))
}

fn is_argument(token: &Token<'_>) -> bool {
    let digits = token.text.strip_prefix("arg").unwrap_or_default();
    token.kind == Kind::Word && digits.starts_with(|c: char| c.is_ascii_digit())
}

fn at(token: Token<'_>, fault: Fault) -> Misplaced {
    Misplaced { place: token.place, fault }
}

fn expected(expected: &'static str, token: Token<'_>) -> Misplaced {
    at(token, Fault::Expected { expected, found: token.text.to_owned() })
}
