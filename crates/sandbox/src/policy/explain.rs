//! A policy in a form that is easier to read than the one it was written in.

use std::fmt::Write as _;

use super::rules::{Decision, Rules, action_words};

/// Stands for the calls that a policy does not name.
const OTHERS: &str = "(others)";

impl Rules {
    /// The whole policy, one call a line or more, sorted by name, then what is done with all others.
    #[must_use]
    pub fn explained(&self) -> String {
        let mut decisions: Vec<_> = self.decisions.iter().collect();
        decisions.sort_by_key(|decision| decision.call);
        let widths = decisions.iter().map(|decision| decision.call.name().len());
        let width = widths.chain([OTHERS.len()]).max().unwrap_or_default();
        let mut text = String::new();
        for decision in decisions {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:width$}  {}", decision.call.name(), self.words(decision));
        }
        let _ = writeln!(text, "{:width$}  {}", OTHERS, action_words(self.default));
        text
    }

    /// What is said about a call, in words.
    fn words(&self, decision: &Decision) -> String {
        let mut words: Vec<_> = decision
            .branches
            .iter()
            .map(|branch| match branch.any_of.is_empty() {
                true => action_words(branch.action),
                false => format!("{} if {}", action_words(branch.action), branch.condition()),
            })
            .collect();
        if decision.branches.last().is_none_or(|last| !last.any_of.is_empty()) {
            words.push(action_words(self.default));
        }
        words.join(", else ")
    }
}
