//! Why tests of a suite fail, as it is written down.

/// Each reason, with the tests that it is true of.
pub(super) struct Reasons(Vec<(String, Vec<String>)>);

impl Reasons {
    /// Reads reasons, each a line with its tests in indented lines after it. A line that begins with
    /// `#` is a comment.
    pub(super) fn parse(text: &str) -> Self {
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match (line.strip_prefix('\t'), reasons.last_mut()) {
                (Some(test), Some((_, tests))) => tests.push(test.to_owned()),
                _ => reasons.push((line.to_owned(), Vec::new())),
            }
        }
        Self(reasons)
    }

    /// Tells what failed without a reason, and what has a reason and did not fail.
    pub(super) fn faults(&self, failed: &[String]) -> Vec<String> {
        let listed = || self.0.iter().flat_map(|(_, tests)| tests);
        let new = failed.iter().filter(|test| !listed().any(|known| known == *test));
        let gone = listed().filter(|test| !failed.contains(test));
        new.map(|test| format!("fails without a reason: {test}"))
            .chain(gone.map(|test| format!("has a reason and does not fail: {test}")))
            .collect()
    }

    pub(super) fn into_rows(self) -> Vec<(String, Vec<String>)> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failing_test_has_a_reason_and_no_other_test() {
        let reasons = Reasons::parse("# comment\n\nwords\n\ta: b\n\ta: c\nnumbers\n\td: e\n");
        let failed = ["a: b", "d: e", "f: g"].map(str::to_owned);
        let faults = ["fails without a reason: f: g", "has a reason and does not fail: a: c"];
        assert_eq!(reasons.faults(&failed), faults);
        let rows = reasons.into_rows();
        assert_eq!(rows[1], ("numbers".to_owned(), vec!["d: e".to_owned()]));
    }
}
