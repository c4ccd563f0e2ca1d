//! Columns for people: left-aligned, as wide as what is in them, no lines.

use creel_base::printable::printable;

/// Between two columns.
const GAP: &str = "  ";

/// A table with a header.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    columns: usize,
}

impl Table {
    /// Begins a table.
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(str::to_owned).to_vec()], columns: N }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns, "a row has as many cells as the header");
        self.rows.push(cells.map(|cell| printable(&cell).into_owned()).to_vec());
    }

    /// Returns the lines.
    pub(crate) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text.push_str(cells.join(GAP).trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_harmless() {
        let mut table = Table::new(["NAME", "SIZE"]);
        table.row(["a".into(), "1".into()]);
        table.row(["long\x1b[2Jname".into(), String::new()]);
        let expected = "NAME             SIZE\na                1\nlong\\x1b[2Jname\n";
        assert_eq!(table.render(), expected);
    }
}
