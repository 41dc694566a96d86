//! What it takes to reach a recall: measured when the index is built, looked
//! up when it is searched.
//!
//! Held-out rows serve as queries with known exact neighbours. The rank of
//! each neighbour's cell says how many cells must be read for it; how far its
//! estimate lies above the distance to beat, in units of its error, says how
//! certain the bound must be. Both are read off as quantiles.

use rayon::prelude::*;

use super::bytes::{self, Reader};
use super::cells::{Cells, Placed};
use super::truth::Neighbours;
use crate::rabitq::{Factors, Form};
use crate::{FormatError, Scored};

const SECTION: &str = "vector tuning";
/// Result counts measured, as far as there are rows. Where the rows lie in
/// groups the cells to read jump at the count that a group holds, so the
/// steps are small.
const COUNTS: [u32; 8] = [10, 20, 50, 100, 200, 350, 600, 1000];
/// Recalls measured.
const RECALLS: [f32; 4] = [0.90, 0.95, 0.98, 0.99];
/// The part of the allowed loss that reading too few cells may use up. What
/// is left is for the bound and for queries that are less like the rows than
/// rows are like each other.
const LOSS_OF_CELLS: f32 = 0.5;
/// The part of the allowed loss that the bound may use up.
const LOSS_OF_BOUND: f32 = 0.25;
/// Bounds of the certainty that is looked up; 4 is hardly ever wrong.
const CERTAINTY: (f32, f32) = (0.5, 4.0);
/// Power of the count that cells follow, at least, beyond the measured ones.
const EXPONENT_BEYOND: f32 = 0.7;
/// Entries of each kind that a section may have.
const ENTRIES_MAX: u32 = 64;

/// How many cells to read, and how certain the bounds must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reach {
    pub(super) probes: u32,
    pub(super) certainty: f32,
}

impl Reach {
    /// The larger of both numbers.
    fn max(self, other: Self) -> Self {
        let certainty = self.certainty.max(other.certainty);
        Self { probes: self.probes.max(other.probes), certainty }
    }
}

/// The table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tuning {
    cells: u32,
    counts: Vec<u32>,
    recalls: Vec<f32>,
    /// For each count, for each recall.
    reaches: Vec<Reach>,
}

/// What the rows became.
pub(super) struct Encoded {
    /// The cell of each row: the number of cells where its numbers are out of
    /// range, above where it was skipped.
    pub(super) cell_of: Vec<u32>,
    /// Signs of each row.
    pub(super) signs: Vec<u8>,
    /// Factors of each row.
    pub(super) factors: Vec<Factors>,
}

/// Neighbours of one query, nearest first.
struct Measured {
    /// Rank of each neighbour's cell.
    ranks: Vec<u32>,
    /// Whether hardly any neighbour is missing.
    is_certain: bool,
    /// For each of the counts the certainty each neighbour needs.
    certainties: Vec<Vec<f32>>,
}

/// Measures the table by the `neighbours` of some rows.
pub(super) fn measure(
    form: Form,
    cells: &Cells,
    neighbours: &[Neighbours],
    encoded: &Encoded,
) -> Tuning {
    let deepest = neighbours.iter().map(|n| n.nearest.len()).max().unwrap_or(0);
    let counts: Vec<u32> = COUNTS.into_iter().filter(|&count| count as usize <= deepest).collect();
    let measured: Vec<Measured> = neighbours
        .par_iter()
        .map(|neighbours| measure_query(form, cells, neighbours, &counts, encoded))
        .collect();
    let mut reaches: Vec<Reach> = Vec::with_capacity(counts.len() * RECALLS.len());
    for (level, &count) in counts.iter().enumerate() {
        let deep = || measured.iter().filter(|m| m.ranks.len() >= count as usize);
        let ranks = ranks_of(&measured, count, count);
        // The same queries with fewer results: few are asked for many, and may
        // be easier than the others.
        let fewer = level.checked_sub(1).map(|level| ranks_of(&measured, counts[level], count));
        let mut certainties: Vec<f32> = deep()
            .filter(|m| m.is_certain)
            .flat_map(|m| m.certainties[level].iter().copied())
            .collect();
        certainties.sort_unstable_by(f32::total_cmp);
        for (place, recall) in RECALLS.into_iter().enumerate() {
            let part = 1.0 - LOSS_OF_CELLS * (1.0 - recall);
            let rank = quantile(&ranks, part);
            let probes = match &fewer {
                None => rank + 1 + rank / 10,
                Some(fewer) => {
                    let before = reaches[(level - 1) * RECALLS.len() + place].probes;
                    let growth = (rank + 1) as f32 / (quantile(fewer, part) + 1) as f32;
                    (before as f32 * growth.max(1.0)).ceil() as u32
                }
            };
            let certainty = if certainties.is_empty() {
                // So deep no neighbours are certain: the most that those
                // further up need.
                let above = reaches.iter().skip(place).step_by(RECALLS.len());
                above.map(|reach| reach.certainty).max_by(f32::total_cmp).unwrap_or(CERTAINTY.1)
            } else {
                quantile(&certainties, 1.0 - LOSS_OF_BOUND * (1.0 - recall))
            };
            reaches.push(Reach {
                probes: probes.min(cells.len() as u32),
                certainty: certainty.clamp(CERTAINTY.0, CERTAINTY.1),
            });
        }
    }
    Tuning { cells: cells.len() as u32, counts, recalls: RECALLS.to_vec(), reaches }
}

/// Ranks of the cells of the first `count` neighbours of all that have `deep`,
/// ascending.
fn ranks_of(measured: &[Measured], count: u32, deep: u32) -> Vec<u32> {
    let deep = measured.iter().filter(|m| m.ranks.len() >= deep as usize);
    let mut ranks: Vec<u32> =
        deep.flat_map(|m| m.ranks[..count as usize].iter().copied()).collect();
    ranks.sort_unstable();
    ranks
}

/// The smallest value that `part` of the sorted ones do not exceed.
fn quantile<T: Copy>(sorted: &[T], part: f32) -> T {
    let place = (f64::from(part) * sorted.len() as f64).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

fn measure_query(
    form: Form,
    cells: &Cells,
    neighbours: &Neighbours,
    counts: &[u32],
    encoded: &Encoded,
) -> Measured {
    let Neighbours { query, base, nearest, is_certain } = neighbours;
    let padded = query.len();
    let mut placed = Placed::new(padded);
    placed.values.copy_from_slice(query);
    placed.refresh();
    let mut ranked = cells.compare_all(&placed);
    let mut rank_of = vec![0; cells.len() + 1];
    ranked.sort_unstable_by(|a, b| a.key.total_cmp(&b.key).then(a.cell.cmp(&b.cell)));
    for (rank, ranked) in ranked.iter().enumerate() {
        rank_of[ranked.cell as usize] = rank as u32;
    }
    let cell_of = |row: u32| encoded.cell_of[row as usize];
    let ranks = nearest.iter().map(|scored| rank_of[cell_of(scored.row) as usize]).collect();
    // What a neighbour's estimate is worth: estimate and error.
    let estimate = |scored: &Scored| {
        let (row, cell) = (scored.row as usize, cell_of(scored.row) as usize);
        if cell == cells.len() {
            return (f32::NEG_INFINITY, 1.0);
        }
        let ranked = &ranked[rank_of[cell] as usize];
        let base = match form {
            Form::SquaredL2 => ranked.square_distance,
            Form::NegativeDot => base - ranked.product,
        };
        let terms = placed.code.terms(base, ranked.square_distance, 1.0);
        let sum = placed.code.sum(&encoded.signs[row * padded / 8..][..padded / 8]);
        let factors = encoded.factors[row];
        let estimate = base + factors.add + factors.scale * (terms.bias - terms.step * sum as f32);
        (estimate, factors.error * terms.width)
    };
    let estimates: Vec<(f32, f32)> = nearest.iter().map(estimate).collect();
    let needed = |&count: &u32| {
        let Some(last) = nearest.get(count as usize - 1) else { return Vec::new() };
        let needed = |(estimate, error): &(f32, f32)| {
            let needed = (estimate - last.score) / error;
            if needed.is_nan() { 0.0 } else { needed }
        };
        estimates[..count as usize].iter().map(needed).collect()
    };
    Measured { ranks, is_certain: *is_certain, certainties: counts.iter().map(needed).collect() }
}

impl Tuning {
    /// The table of an index without cells.
    pub(super) fn empty() -> Self {
        Self { cells: 0, counts: Vec::new(), recalls: RECALLS.to_vec(), reaches: Vec::new() }
    }

    /// The table of an index of `cells` cells before anything is measured.
    pub(super) fn untuned(cells: u32) -> Self {
        Self { cells, ..Self::empty() }
    }

    /// Cells to read for 10 results at 0.95, to compare tables by.
    pub(super) fn cost(&self) -> u32 {
        self.reach(10.0, 0.95).probes
    }

    /// What it takes for `count` results at `recall`; between the measured
    /// points it follows powers of the count and of the loss. More recall never
    /// takes less.
    pub(super) fn reach(&self, count: f32, recall: f32) -> Reach {
        let all = Reach { probes: self.cells, certainty: CERTAINTY.1 };
        if self.counts.is_empty() || recall.is_nan() || recall >= 0.9999 {
            return all;
        }
        let log_loss = |recall: &f32| -(1.0 - recall).ln();
        let (at, part) = place(&self.recalls, log_loss, log_loss(&recall.max(0.0)));
        let mut low = self.at(count, 0);
        for recall in 1..=at {
            low = low.max(self.at(count, recall));
        }
        let high = low.max(self.at(count, (at + 1).min(self.recalls.len() - 1)));
        self.between(low, high, part.max(-1.0))
    }

    /// The same at one of the measured recalls.
    fn at(&self, count: f32, recall: usize) -> Reach {
        let reach = |level: usize| self.reaches[level * self.recalls.len() + recall];
        let (level, part) = place(&self.counts, |&c| (c as f32).ln(), count.max(1.0).ln());
        let last = self.counts.len() - 1;
        if count > self.counts[last] as f32 {
            // Beyond what was measured the lists of near cells are used up:
            // read on at least nearly in proportion.
            let steps = (count / self.counts[last] as f32).powf(EXPONENT_BEYOND);
            let probes = (reach(last).probes as f32 * steps).ceil().min(self.cells as f32);
            let beyond = Reach { probes: probes as u32, ..reach(last) };
            return beyond.max(self.between(reach(level), reach(last), part));
        }
        self.between(reach(level), reach((level + 1).min(last)), part.max(0.0))
    }

    fn between(&self, low: Reach, high: Reach, part: f32) -> Reach {
        let (a, b) = ((low.probes.max(1) as f32).ln(), (high.probes.max(1) as f32).ln());
        let probes = (a + (b - a) * part).exp().round().min(self.cells as f32);
        let certainty = low.certainty + (high.certainty - low.certainty) * part;
        Reach {
            probes: (probes as u32).clamp(1, self.cells.max(1)),
            certainty: certainty.clamp(CERTAINTY.0, CERTAINTY.1),
        }
    }

    /// The section's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        bytes::put_u32s(&mut out, &[self.counts.len() as u32, self.recalls.len() as u32]);
        bytes::put_u32s(&mut out, &self.counts);
        bytes::put_f32s(&mut out, &self.recalls);
        for reach in &self.reaches {
            bytes::put_u32s(&mut out, &[reach.probes]);
            bytes::put_f32s(&mut out, &[reach.certainty]);
        }
        out
    }

    /// Reads the section of an index of `cells` cells.
    pub(super) fn from_bytes(cells: u32, bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(SECTION, bytes);
        let (counts, recalls) = (reader.u32()?, reader.u32()?);
        if counts > ENTRIES_MAX || recalls > ENTRIES_MAX || recalls == 0 {
            return Err(reader.damaged(
                format!("{counts} counts and {recalls} recalls"),
                format!("at most {ENTRIES_MAX} of each"),
            ));
        }
        let counts = reader.u32s(counts as usize)?;
        let recalls = reader.f32s(recalls as usize)?;
        let ascend = counts.is_sorted_by(|a, b| a < b) && recalls.is_sorted_by(|a, b| a < b);
        if !ascend || counts.first() == Some(&0) || !recalls.iter().all(|r| (0.0..1.0).contains(r))
        {
            return Err(reader.damaged(
                format!("counts {counts:?} and recalls {recalls:?}"),
                "positive counts, and recalls below 1, both ascending",
            ));
        }
        let mut reaches = Vec::with_capacity(counts.len() * recalls.len());
        for _ in 0..counts.len() * recalls.len() {
            let reach = Reach { probes: reader.u32()?, certainty: reader.f32s(1)?[0] };
            if reach.probes == 0 || reach.probes > cells || !reach.certainty.is_finite() {
                return Err(reader.damaged(
                    format!("{} cells to read, certainty {}", reach.probes, reach.certainty),
                    format!("1 to {cells} cells and a finite certainty"),
                ));
            }
            reaches.push(reach);
        }
        reader.finish()?;
        Ok(Self { cells, counts, recalls, reaches })
    }
}

/// The segment of ascending points that `at` lies in, or the last or first
/// one where it lies outside: its index and the part of the way through it
/// (below 0 or above 1 outside).
fn place<T>(points: &[T], value: impl Fn(&T) -> f32, at: f32) -> (usize, f32) {
    if points.len() < 2 {
        return (0, 0.0);
    }
    let above = points.partition_point(|point| value(point) <= at).clamp(1, points.len() - 1);
    let (low, high) = (value(&points[above - 1]), value(&points[above]));
    (above - 1, (at - low) / (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Tuning {
        let reach = |probes| Reach { probes, certainty: 2.0 };
        Tuning {
            cells: 500,
            counts: vec![10, 100],
            recalls: vec![0.9, 0.99],
            reaches: vec![reach(10), reach(100), reach(20), reach(200)],
        }
    }

    #[test]
    fn reaches_lie_between_and_beyond_the_measured_points() {
        let table = table();
        let probes = |count, recall| table.reach(count, recall).probes;
        assert_eq!((probes(10.0, 0.9), probes(10.0, 0.99), probes(100.0, 0.99)), (10, 100, 200));
        assert_eq!((probes(1.0, 0.9), probes(1000.0, 0.9)), (10, 101));
        assert!((30..34).contains(&probes(10.0, 0.9684)));
        assert!(probes(10.0, 0.8) < 10 && probes(10.0, 0.0) >= 1);
        assert_eq!((probes(10.0, 1.0), probes(1e9, 0.99)), (500, 500));
        assert!(probes(10.0, 0.999) > 400);
    }

    #[test]
    fn the_section_reads_back_and_refuses_damage() {
        let bytes = table().to_bytes();
        assert_eq!(Tuning::from_bytes(500, &bytes), Ok(table()));
        assert!(Tuning::from_bytes(199, &bytes).is_err(), "probes above the cells");
        for length in 0..bytes.len() {
            assert!(Tuning::from_bytes(500, &bytes[..length]).is_err(), "{length}");
        }
        let empty = Tuning::empty();
        assert_eq!(Tuning::from_bytes(0, &empty.to_bytes()), Ok(empty));
    }
}
