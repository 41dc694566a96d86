//! The rows that a search takes from lists of accepted rows, without reading
//! codes, and how near all the other rows of those cells are likely to be.

/// What was taken from lists.
#[derive(Default)]
pub(super) struct Listed {
    cells: Vec<Cell>,
    /// Rows to be scored: the number of the cell in the high half.
    pub(super) rows: Vec<u64>,
    /// How far the distances of rows lie beyond where those of their cells
    /// begin: how many were looked at, their sum, the sum of their squares.
    beyond: [f64; 3],
}

struct Cell {
    /// What the distances of its rows begin with.
    base: f32,
    /// All its rows.
    rows: usize,
    /// Those that may be accepted.
    listed: usize,
}

impl Listed {
    /// Takes the `listed` ones of a cell's `rows`.
    pub(super) fn take(&mut self, base: f32, rows: usize, listed: &[u32]) {
        let cell = (self.cells.len() as u64) << 32;
        self.cells.push(Cell { base, rows, listed: listed.len() });
        self.rows.extend(listed.iter().map(|&row| cell | u64::from(row)));
    }

    /// What the distances of the rows of a cell taken from begin with.
    pub(super) fn base(&self, cell: usize) -> f32 {
        self.cells[cell].base
    }

    /// Learns from a row how far distances lie beyond what they begin with.
    pub(super) fn look_at(&mut self, beyond: f32) {
        if beyond.is_finite() {
            let beyond = f64::from(beyond);
            let [count, sum, squares] = &mut self.beyond;
            (*count, *sum, *squares) = (*count + 1.0, *sum + beyond, *squares + beyond * beyond);
        }
    }

    /// About how many rows lie below a distance: accepted ones, and all.
    pub(super) fn nearer_than(&self, distance: f32) -> [f64; 2] {
        let [count, sum, squares] = self.beyond;
        if count == 0.0 {
            return [0.0; 2];
        }
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        let mut nearer = [0.0; 2];
        for cell in &self.cells {
            let room = f64::from(distance - cell.base) - mean;
            // About the normal distribution's.
            let part = 1.0 / (1.0 + (-1.7 * room / deviation).exp());
            if !part.is_nan() {
                nearer[0] += part * cell.listed as f64;
                nearer[1] += part * cell.rows as f64;
            }
        }
        nearer
    }
}
