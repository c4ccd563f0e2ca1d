//! What bats reads and writes: names of tests, and the Test Anything Protocol.

/// How a test ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Passed,
    /// The suite's words why.
    Skipped(String),
    /// Or it wrote no result: it hung, or there is no such test.
    Failed,
}

impl Ended {
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed ",
            Self::Skipped(_) => "skipped",
            Self::Failed => "FAILED ",
        }
    }
}

/// Finds the result of the one test that was run.
pub(super) fn ended(text: &str) -> Ended {
    let line = text.lines().find(|line| line.starts_with("ok ") || line.starts_with("not ok "));
    match line {
        Some(line) if line.starts_with("ok ") => match line.split_once(" # skip") {
            Some((_, why)) => Ended::Skipped(why.trim().to_owned()),
            None => Ended::Passed,
        },
        _ => Ended::Failed,
    }
}

/// Finds the names of the tests in a file: lines `@test "NAME" {`.
pub(super) fn names(text: &str) -> impl Iterator<Item = String> {
    let quoted = |line: &str| {
        let (_, rest) = line.split_once("@test ")?;
        let (name, _) = rest.trim_start().strip_prefix('"')?.rsplit_once("\" {")?;
        Some(name.replace("\\\"", "\"").replace("\\$", "$"))
    };
    text.lines().filter(|line| line.starts_with("@test ")).filter_map(quoted)
}

/// The extended regular expression that finds this name only; an apostrophe is any character, since
/// the expression goes between apostrophes.
pub(super) fn expression(name: &str) -> String {
    let escaped: String = name
        .chars()
        .flat_map(|c| match c {
            '\'' => vec!['.'],
            c if c.is_ascii_punctuation() && !"-_/:,=@%&!#<>~`;\"".contains(c) => vec!['\\', c],
            c => vec![c],
        })
        .collect();
    format!("^{escaped}$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_found_among_other_output() {
        assert_eq!(ended("1..1\nok 1 runc run in 3ms\n"), Ended::Passed);
        let why = Ended::Skipped("test requires systemd".to_owned());
        assert_eq!(ended("1..1\r\nok 1 runc run # skip test requires systemd\r\n"), why);
        assert_eq!(ended("1..1\nnot ok 1 runc run\n# ok 1\n"), Ended::Failed);
        assert_eq!(ended("1..1\n"), Ended::Failed);
    }

    #[test]
    fn names_of_tests_become_expressions() {
        let text = "@test \"runc run [a \\\"b\\\" + $c's]\" {\n}\n\t# @test \"no\" {\n";
        let names: Vec<_> = names(text).collect();
        assert_eq!(names, ["runc run [a \"b\" + $c's]"]);
        assert_eq!(expression(&names[0]), "^runc run \\[a \"b\" \\+ \\$c.s\\]$");
    }
}
