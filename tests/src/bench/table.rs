//! Tables of figures, in Markdown that reads well as plain text.

use std::fmt;

/// A table with a title and notes.
#[derive(Debug, Default)]
pub(super) struct Table {
    title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// An empty table.
    pub(super) fn new<const N: usize>(title: &str, header: [&str; N]) -> Self {
        let header = header.map(str::to_owned).to_vec();
        Self { title: title.to_owned(), header, ..Self::default() }
    }

    /// One more row; cells that are missing stay empty.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// One more line below the table.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().chain([&self.header]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, cells: &[String]) -> fmt::Result {
        for column in 0..self.header.len() {
            let cell = cells.get(column).map_or("", String::as_str);
            write!(f, "| {cell:width$} ", width = self.width(column))?;
        }
        writeln!(f, "|")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        self.line(f, &self.header)?;
        let rules: Vec<String> =
            (0..self.header.len()).map(|column| "-".repeat(self.width(column))).collect();
        self.line(f, &rules)?;
        for row in &self.rows {
            self.line(f, row)?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new("T", ["a", "long head"]);
        table.row(vec!["è 1".to_owned(), "2".to_owned()]);
        table.row(vec!["3".to_owned()]);
        table.note("note".to_owned());
        let expected = "### T\n\n| a   | long head |\n| --- | --------- |\n| è 1 | 2         |\n\
            | 3   |           |\n\nnote\n";
        assert_eq!(table.to_string(), expected);
    }
}
