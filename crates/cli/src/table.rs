//! Aligned tables for people. What came from a record is shown, never
//! obeyed: control characters are escaped before they reach a terminal.

use console::measure_text_width;

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a header, each column as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it must have a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// The table's text; lines are cut at `width_max` where one is given.
    pub(crate) fn render(&self, width_max: Option<usize>) -> String {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| measure_text_width(&row[column]));
                cells.chain([measure_text_width(&header[column])]).max().unwrap_or_default()
            })
            .collect();
        std::iter::once(&header)
            .chain(&self.rows)
            .map(|row| self.line(row, &widths, width_max))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn line(&self, row: &[String], widths: &[usize], width_max: Option<usize>) -> String {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            let space = " ".repeat(width - measure_text_width(cell));
            match self.columns[column].1 {
                Align::Left => line.push_str(&(cell.clone() + &space)),
                Align::Right => line.push_str(&(space + cell)),
            }
        }
        cut(line.trim_end(), width_max)
    }
}

/// `text` with control characters written as escapes.
pub(crate) fn printable(text: &str) -> String {
    if !text.chars().any(is_unsafe) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        if is_unsafe(c) {
            safe.extend(c.escape_debug());
        } else {
            safe.push(c);
        }
        safe
    })
}

/// Controls, and the marks that turn the direction of text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cut(line: &str, width_max: Option<usize>) -> String {
    let Some(width_max) = width_max.filter(|max| measure_text_width(line) > *max) else {
        return line.to_owned();
    };
    let mut kept = String::new();
    let mut width = 0;
    for c in line.chars() {
        width += measure_text_width(c.encode_utf8(&mut [0; 4]));
        if width >= width_max {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("rank", Align::Right), ("id", Align::Left)]);
        table.row(vec!["1".into(), "naïve".into()]);
        table.row(vec!["10".into(), "x\u{1b}[31m\n".into()]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        let text = table().render(None);
        assert_eq!(text, "rank  id\n   1  naïve\n  10  x\\u{1b}[31m\\n");
    }

    #[test]
    fn long_lines_are_cut() {
        let text = table().render(Some(9));
        assert!(text.lines().all(|line| measure_text_width(line) <= 9), "{text}");
        assert!(text.ends_with('…'));
    }
}
