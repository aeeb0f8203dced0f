//! Tables for terminals: a heading, aligned columns, two blanks between them.
//!
//! It must never cut anything off; people copy from tables.

use ropewalk_topology::terminal;

/// Rows under a heading. Nothing at all is said in words.
pub(crate) fn render(heading: &[&str], rows: &[Vec<String>]) -> String {
    let titles: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&titles).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    all.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", terminal::line(padded.join("  ").trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["ü".to_owned(), "x".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(render(&["A", "B"], &rows), "A     B\nü     x\nlong\n");
    }
}
