//! The page with the results.

use std::fs;

use super::{Counts, Report};
use crate::run::repository;

/// Where the results are recorded.
const PAGE: &str = "docs/compat.md";

/// Puts a suite's results in place of its last ones.
pub(super) fn record(name: &str, report: &Report) -> anyhow::Result<()> {
    let path = repository().join(PAGE);
    let page = with_counts(&fs::read_to_string(&path)?, name, report.counts);
    fs::write(path, with_failures(&page, name, &report.failures))?;
    Ok(())
}

fn with_counts(page: &str, name: &str, counts: Counts) -> String {
    let Counts { passed, failed, skipped } = counts;
    let row = format!("| {name} | {passed} | {failed} | {skipped} |");
    with_rows(page, "| suite |", |rows| {
        let named = |row: &str| row.split('|').nth(1).unwrap_or_default().trim().to_owned();
        rows.retain(|old| named(old) != name);
        rows.push(row);
        rows.sort_by_key(|row| named(row));
    })
}

fn with_failures(page: &str, name: &str, failures: &[(String, Vec<String>)]) -> String {
    with_rows(page, &format!("| why {name}'s tests fail |"), |rows| {
        let row = |(reason, tests): &(String, Vec<String>)| {
            let tests: Vec<_> =
                tests.iter().map(|test| format!("`{}`", test.replace('|', "\\|"))).collect();
            format!("| {reason} | {} | {} |", tests.len(), tests.join(", "))
        };
        *rows = failures.iter().map(row).collect();
    })
}

/// Changes the rows of the table whose first line begins with `head`; a page without it stays.
fn with_rows(page: &str, head: &str, change: impl FnOnce(&mut Vec<String>)) -> String {
    let lines: Vec<&str> = page.lines().collect();
    let Some(begin) = lines.iter().position(|line| line.starts_with(head)).map(|line| line + 2)
    else {
        return page.to_owned();
    };
    let body = lines.iter().skip(begin).take_while(|line| line.starts_with('|'));
    let mut rows: Vec<String> = body.map(|line| (*line).to_owned()).collect();
    let end = begin + rows.len();
    change(&mut rows);
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let lines =
        [owned(&lines[..begin.min(lines.len())]), rows, owned(&lines[end.min(lines.len())..])];
    lines.concat().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_has_one_row_in_order_of_names() {
        let page = "# Head\n\n| suite | |\n|---|--:|\n| b | 1 | 0 | 0 |\n\nTail\n";
        let page = with_counts(page, "a", Counts { passed: 5, failed: 0, skipped: 0 });
        let page = with_counts(&page, "b", Counts { passed: 2, failed: 1, skipped: 0 });
        let rows = "| a | 5 | 0 | 0 |\n| b | 2 | 1 | 0 |";
        assert_eq!(page, format!("# Head\n\n| suite | |\n|---|--:|\n{rows}\n\nTail\n"));
    }

    #[test]
    fn failures_replace_the_last_ones_of_their_suite() {
        let page = "| why x's tests fail | | |\n|---|--:|---|\n| old | 1 | `y` |\n";
        let failures = [("words".to_owned(), vec!["a: b|c".to_owned(), "a: d".to_owned()])];
        let head = "| why x's tests fail | | |\n|---|--:|---|\n";
        let row = "| words | 2 | `a: b\\|c`, `a: d` |\n";
        assert_eq!(with_failures(page, "x", &failures), format!("{head}{row}"));
        assert_eq!(with_failures(page, "z", &failures), page);
    }
}
