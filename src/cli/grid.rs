//! Tables whose columns are only known at run time.

use std::fmt;

/// Rows under a header; a short row is filled up.
#[derive(Debug, Clone)]
pub struct Grid {
    rows: Vec<Vec<String>>,
}

// === impl Grid ===

impl Grid {
    /// A table with these column names and no rows.
    pub fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { rows: vec![header.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row; an empty cell is shown as `-`, so that columns can be counted by other programs.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }).collect();
        let width = self.rows.first().map_or(0, Vec::len);
        cells.resize(width, "-".to_owned());
        self.rows.push(cells);
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let line = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_up_and_aligned() {
        let mut grid = Grid::new(["FROM", "V1", "V2"]);
        grid.row(["cluster1".to_owned(), "12".to_owned()]);
        grid.row(["b".to_owned(), String::new(), "7".to_owned()]);
        assert_eq!(grid.to_string(), "FROM      V1  V2\ncluster1  12  -\nb         -   7\n");
    }
}
