//! Which rows a search may find, and where they stand: what the index needs to
//! know of a filter.

use super::Ivf;
use super::search::rows_of_list;

/// The cell of a row that is in no list.
const NO_CELL: u32 = u32::MAX;

/// The rows that a search may find.
#[derive(Clone, Copy)]
pub struct Accept<'a> {
    /// Whether a row may be found.
    pub contains: &'a dyn Fn(u32) -> bool,
    /// The part of all rows that may, as far as is known.
    pub part: f32,
    /// The rows that may be found, and perhaps others, by cell: where a cell has
    /// few they are scored, and its codes are not read.
    pub lists: Option<&'a CellLists>,
}

/// Some rows by the cell they stand in.
#[derive(Debug)]
pub struct CellLists {
    /// Where each cell's rows begin, and where the last one's end.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl CellLists {
    /// The rows of a cell, ascending.
    pub(super) fn of(&self, cell: u32) -> &[u32] {
        let cell = cell as usize;
        &self.rows[self.starts[cell] as usize..self.starts[cell + 1] as usize]
    }
}

impl Ivf {
    /// Sorts `rows`, which ascend, by cell; rows in no cell are left out.
    pub(crate) fn lists_of(&self, postings: &[u8], rows: &[u32]) -> CellLists {
        let cell_of = self.cell_of.get_or_init(|| self.read_cells(postings));
        let cell = |row: u32| cell_of.get(row as usize).copied().filter(|&cell| cell != NO_CELL);
        let mut starts = vec![0_u32; self.lists.len() + 1];
        for cell in rows.iter().filter_map(|&row| cell(row)) {
            starts[cell as usize + 1] += 1;
        }
        for cell in 0..self.lists.len() {
            starts[cell + 1] += starts[cell];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; starts[self.lists.len()] as usize];
        for &row in rows {
            if let Some(cell) = cell(row) {
                let next = &mut next[cell as usize];
                sorted[*next as usize] = row;
                *next += 1;
            }
        }
        CellLists { starts, rows: sorted }
    }

    /// The cell of each row, from the lists.
    fn read_cells(&self, postings: &[u8]) -> Vec<u32> {
        let padded = self.space.padded();
        let mut cell_of = Vec::new();
        for (&(start, count), cell) in self.lists.iter().zip(0_u32..) {
            for row in rows_of_list(padded, &postings[start..], count) {
                let row = row as usize;
                if row >= cell_of.len() {
                    cell_of.resize(row + 1, NO_CELL);
                }
                cell_of[row] = cell;
            }
        }
        cell_of
    }
}
