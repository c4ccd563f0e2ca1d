//! What a policy says about each call.

use std::fmt;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::call::Call;
use creel_codec::bpf::policy::{Action, Cmp, Newest, Op, Policy, Rule};

use super::constants::Constants;
use super::remark::Remark;

/// How an argument is compared with a value, both as unsigned numbers of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TestOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// Some bit of the value is set.
    Any,
    /// No bit is set that the value does not have.
    In,
}

/// A condition on an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Which argument, 0 to 5.
    pub arg: u8,
    /// How it is compared.
    pub op: TestOp,
    /// With what.
    pub value: u64,
    /// The value as it is written.
    pub words: String,
}

impl Test {
    fn cmp(&self) -> Cmp {
        let (op, value) = match self.op {
            TestOp::Eq => (Op::Eq, self.value),
            TestOp::Ne => (Op::Ne, self.value),
            TestOp::Lt => (Op::Lt, self.value),
            TestOp::Le => (Op::Le, self.value),
            TestOp::Gt => (Op::Gt, self.value),
            TestOp::Ge => (Op::Ge, self.value),
            TestOp::Any => (Op::MaskedNe(self.value), 0),
            TestOp::In => (Op::MaskedEq(!self.value), 0),
        };
        Cmp { arg: self.arg, op, value }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            TestOp::Eq => "==",
            TestOp::Ne => "!=",
            TestOp::Lt => "<",
            TestOp::Le => "<=",
            TestOp::Gt => ">",
            TestOp::Ge => ">=",
            TestOp::Any => "&",
            TestOp::In => "in",
        };
        write!(f, "arg{} {op} {}", self.arg, self.words)
    }
}

/// A condition on a call and what is done if it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// All tests of one of these must hold; it holds always if there is none.
    pub any_of: Vec<Vec<Test>>,
    /// What is done.
    pub action: Action,
    /// Where the policy says so, as `FILE:LINE`.
    pub place: String,
}

impl Branch {
    /// Its condition as a policy has it.
    #[must_use]
    pub fn condition(&self) -> String {
        let all = |tests: &Vec<Test>| {
            tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" && ")
        };
        self.any_of.iter().map(all).collect::<Vec<_>>().join(" || ")
    }

    fn rule(&self, call: Call) -> Rule {
        let all = |tests: &Vec<Test>| tests.iter().map(Test::cmp).collect();
        Rule {
            calls: vec![call],
            action: self.action,
            any_of: self.any_of.iter().map(all).collect(),
        }
    }
}

/// What is said about a call.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The call.
    pub call: Call,
    /// The first one that holds decides, or the default if none does.
    pub branches: Vec<Branch>,
    /// How often the call is made, in comparison with others, if the policy says so.
    pub frequency: Option<u64>,
}

/// What is done with one call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What is done.
    pub action: Action,
    /// Where the policy says so; none if it is the default.
    pub place: Option<String>,
}

/// A policy that has been read.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The interface that it is for.
    pub arch: Arch,
    /// What is done with calls that it does not name.
    pub default: Action,
    /// The calls that it names, in the order in which it does.
    pub decisions: Vec<Decision>,
    /// What is odd about it.
    pub remarks: Vec<Remark>,
}

impl Rules {
    /// What the compiler makes a program of.
    ///
    /// What comes by another interface than the policy's ends the process, calls of x32 included: their
    /// numbers are no calls of x86-64.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let rules = |decision: &Decision| {
            let call = decision.call;
            decision.branches.iter().map(move |branch| branch.rule(call)).collect::<Vec<_>>()
        };
        Policy {
            default: self.default,
            unknown: self.default,
            newest: Newest::Of(Vec::new()),
            bad_arch: Action::KillProcess,
            arches: vec![self.arch],
            rules: self.decisions.iter().flat_map(rules).collect(),
        }
    }

    /// What is said about a call.
    #[must_use]
    pub fn decision(&self, call: Call) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.call == call)
    }

    /// What is done with a call that has these arguments.
    #[must_use]
    pub fn decide(&self, call: Call, args: &[u64; 6]) -> Decided {
        let branches = self.decision(call).into_iter().flat_map(|decision| &decision.branches);
        let mut holding = branches.filter(|branch| branch.rule(call).holds(args, self.arch.word()));
        match holding.next() {
            Some(branch) => Decided { action: branch.action, place: Some(branch.place.clone()) },
            None => Decided { action: self.default, place: None },
        }
    }
}

/// An action as a policy has it, with the name of the error.
#[must_use]
pub fn action_words(action: Action) -> String {
    match action {
        Action::Allow => "allow".into(),
        Action::Log => "log".into(),
        Action::Errno(errno) => {
            let name = Constants::error(errno).unwrap_or_else(|| errno.to_string());
            format!("return {name}")
        }
        Action::Trace(_) => "trace".into(),
        Action::Notify => "user-notify".into(),
        Action::Trap => "trap".into(),
        Action::KillThread => "kill-thread".into(),
        Action::KillProcess => "kill-process".into(),
    }
}
