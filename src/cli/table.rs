//! Tables of text: columns aligned to the left, two spaces between, no lines.

use std::fmt;

/// Rows under a header, all of the same width.
#[derive(Debug, Clone)]
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

// === impl Table ===

impl<const N: usize> Table<N> {
    /// A table with these column names and no rows.
    pub fn new(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(str::to_owned)] }
    }

    /// Adds a row; an empty cell is shown as `-`, so that columns can be counted by other programs.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }));
    }

    /// Whether there is nothing but the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.rows {
            let line = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_cells_marked() {
        let mut table = Table::new(["CLUSTER", "POOL", "NOTE"]);
        assert!(table.is_empty());
        table.row(["a".into(), "10.0.0.1-10.0.0.9".into(), String::new()]);
        table.row(["längerer-name".into(), "-".into(), "x".into()]);
        assert_eq!(
            table.to_string(),
            "CLUSTER        POOL               NOTE\n\
             a              10.0.0.1-10.0.0.9  -\n\
             längerer-name  -                  x\n"
        );
    }
}
