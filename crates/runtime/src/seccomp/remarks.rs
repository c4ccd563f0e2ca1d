//! What a profile says to no effect, and what it says twice and differently.

use std::collections::HashMap;
use std::fmt;

use creel_codec::bpf::call::Call;
use creel_codec::bpf::policy::{Cmp, Rule};

use super::error::SeccompError;
use super::json::{self, Numbered};
use super::source::{self, Source};

/// Something that has no effect; indexes are those of `linux.seccomp.syscalls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// No interface has a call of this name.
    Unknown {
        /// The rule.
        index: usize,
        /// The name.
        name: String,
    },
    /// An earlier rule says the same.
    Repeated {
        /// The rule.
        index: usize,
        /// The earlier one.
        earlier: usize,
        /// The call.
        name: String,
    },
    /// Another rule decides about the call, whatever its arguments.
    Overruled {
        /// The rule.
        index: usize,
        /// The one that counts.
        by: usize,
        /// The call.
        name: String,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = |index: &usize| format!("`linux.seccomp.syscalls[{index}]`");
        match self {
            Self::Unknown { index, name } => {
                write!(f, "{} names `{name}`, which is no system call here", rule(index))
            }
            Self::Repeated { index, earlier, name } => {
                write!(f, "{} says of `{name}` what {} says", rule(index), rule(earlier))
            }
            Self::Overruled { index, by, name } => {
                write!(f, "{} decides about `{name}`, and {} does not", rule(by), rule(index))
            }
        }
    }
}

/// What in a profile has no effect.
///
/// # Errors
/// Names what is wrong with the profile.
pub(super) fn remarks(source: &Source<'_>) -> Result<Vec<Remark>, SeccompError> {
    let rules = json::rules(source)?;
    let mut remarks = repeated(&rules)?;
    let always = always(&rules);
    for (numbered, call) in named(&rules) {
        let by = always.get(&call).filter(|by| by.index != numbered.index);
        remarks.extend(by.map(|by| later(by, numbered, call)));
    }
    let names = source
        .rules
        .iter()
        .flat_map(|(index, rule)| source::names(rule).map(move |name| (*index, name)));
    let unknown = names.filter(|(_, name)| Call::find(name).is_none());
    remarks.extend(unknown.map(|(index, name)| Remark::Unknown { index, name: name.clone() }));
    Ok(remarks)
}

/// Fails if two rules do different things under the same conditions, as libseccomp does.
pub(super) fn contradiction(rules: &[Numbered]) -> Result<(), SeccompError> {
    repeated(rules).map(|_| ())
}

fn named(rules: &[Numbered]) -> impl Iterator<Item = (&Numbered, Call)> {
    rules.iter().flat_map(|numbered| numbered.rule.calls.iter().map(move |call| (numbered, *call)))
}

/// The first rule without conditions on each call.
fn always(rules: &[Numbered]) -> HashMap<Call, &Numbered> {
    let mut always = HashMap::new();
    for (numbered, call) in named(rules) {
        if numbered.rule.any_of.is_empty() {
            always.entry(call).or_insert(numbered);
        }
    }
    always
}

/// Conditions that two rules, neither of which is overruled, have about the same call.
fn repeated(rules: &[Numbered]) -> Result<Vec<Remark>, SeccompError> {
    if rules.iter().all(|numbered| numbered.rule.any_of.is_empty()) {
        return Ok(Vec::new());
    }
    let (always, mut remarks) = (always(rules), Vec::new());
    let mut seen: HashMap<(Call, Vec<Cmp>), &Numbered> = HashMap::new();
    for (numbered, call) in named(rules).filter(|(_, call)| !always.contains_key(call)) {
        for conditions in sorted(&numbered.rule) {
            match seen.get(&(call, conditions.clone())) {
                Some(first) if first.rule.action != numbered.rule.action => {
                    let (first, second) = (first.index, numbered.index);
                    return Err(SeccompError::Contradiction {
                        first,
                        second,
                        name: call.name().into(),
                    });
                }
                Some(first) => remarks.push(later(first, numbered, call)),
                None => _ = seen.insert((call, conditions), numbered),
            }
        }
    }
    Ok(remarks)
}

/// The conditions in an order that does not depend on how they are written.
fn sorted(rule: &Rule) -> impl Iterator<Item = Vec<Cmp>> {
    rule.any_of.iter().cloned().map(|mut all| {
        all.sort_by_key(|cmp| cmp.arg);
        all
    })
}

/// What there is to say of a rule about a call that another one decides as well.
fn later(first: &Numbered, numbered: &Numbered, call: Call) -> Remark {
    let (index, name) = (numbered.index, call.name().to_owned());
    let same = first.rule.action == numbered.rule.action && first.index < index;
    match same {
        true => Remark::Repeated { index, earlier: first.index, name },
        false => Remark::Overruled { index, by: first.index, name },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rules: &str) -> Result<Vec<Remark>, SeccompError> {
        let json = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#);
        let profile = serde_json::from_str(&json).unwrap();
        remarks(&Source::specified(&profile))
    }

    fn rule(name: &str, action: &str, arguments: &str) -> String {
        format!(r#"{{"names": ["{name}"], "action": "SCMP_ACT_{action}", "args": [{arguments}]}}"#)
    }

    const ONE: &str = r#"{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}"#;
    const TWO: &str = r#"{"index": 1, "value": 2, "op": "SCMP_CMP_NE"}"#;

    #[test]
    fn what_has_no_effect_is_told() {
        let both = [format!("{ONE}, {TWO}"), format!("{TWO}, {ONE}")];
        let words = |rules: &[String]| {
            let remarks = read(&rules.join(",")).unwrap();
            remarks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let [a, b] = both.each_ref().map(|conditions| rule("read", "ALLOW", conditions));
        assert!(words(&[a, b]).contains("`linux.seccomp.syscalls[1]` says of `read` what"));
        let rules = [rule("read", "LOG", ONE), rule("read", "ALLOW", "")];
        assert!(words(&rules).contains("syscalls[1]` decides about `read`, and"));
        let rules = [rule("read", "LOG", ""), rule("read", "ALLOW", "")];
        assert!(words(&rules).contains("syscalls[0]` decides about `read`, and"));
        assert!(words(&[rule("rread", "LOG", "")]).contains("`rread`, which is no system call"));
        let rules =
            [rule("read", "LOG", ONE), rule("read", "ALLOW", TWO), rule("write", "LOG", "")];
        assert_eq!(words(&rules), "");
    }

    #[test]
    fn contradictions_are_refused_unless_they_do_not_matter() {
        let rules = [rule("read", "LOG", ONE), rule("read", "ALLOW", ONE)];
        let error = read(&rules.join(",")).unwrap_err();
        let expected = SeccompError::Contradiction { first: 0, second: 1, name: "read".into() };
        assert_eq!(error, expected);
        let [a, b] = rules;
        assert!(read(&[a, b, rule("read", "TRAP", "")].join(",")).is_ok());
        // Like the default.
        let rules = [rule("read", "ERRNO", ONE), rule("read", "ALLOW", ONE)];
        assert!(read(&rules.join(",")).is_ok());
    }
}
