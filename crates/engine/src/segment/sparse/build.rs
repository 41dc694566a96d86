//! Gathers sparse vectors while records arrive, and writes them as they came,
//! row after row, and beside them the upper bounds that a search goes by.

use std::io;

use crossbill_core::{ScratchFile, SparseVector};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::super::layout::Kind;
use super::super::writer::FileWriter;
use super::bounds::{EVERY_BLOCK, FLAG_BITS, SIGNED};
use super::{BLOCK_ROWS, RANGE_ROWS_MAX};

/// A term that is in one block in this many or more has a bound for every
/// block: more bytes than a list at worst, but added up many at a time.
const BLOCKS_PER_LISTED: usize = 6;

/// Bytes of a term in the directory.
const DIRECTORY_BYTES: usize = 16;

/// The sparse vectors of the rows pushed so far.
#[derive(Debug)]
pub(in super::super) struct SparseBuilder {
    indices: Vec<u32>,
    values: Vec<f32>,
    /// One more than there are rows; starts with 0.
    starts: Vec<u64>,
    range_rows: u32,
    /// Entries of the range that has most of them, but for the last one.
    largest_range: usize,
    /// Entries before the last range.
    before_last: usize,
    /// The largest index so far: there are not more terms than up to it.
    last_term: u32,
}

/// One entry of a range while they are sorted by term.
#[derive(Debug, Clone, Copy)]
struct Posting {
    term: u32,
    block: u16,
    weight: f32,
}

/// The terms section while the bounds are written.
#[derive(Debug, Default)]
struct Directory {
    firsts: Vec<u64>,
    starts: Vec<u64>,
    terms: Vec<u32>,
    steps: Vec<f32>,
}

/// The bounds of one term: block, steps above 0, steps below.
type Steps = (u16, u8, u8);

impl Default for SparseBuilder {
    fn default() -> Self {
        Self::with_ranges(RANGE_ROWS_MAX)
    }
}

impl SparseBuilder {
    /// An empty builder of ranges of so many rows.
    pub(super) fn with_ranges(range_rows: u32) -> Self {
        Self {
            indices: Vec::new(),
            values: Vec::new(),
            starts: vec![0],
            range_rows,
            largest_range: 0,
            before_last: 0,
            last_term: 0,
        }
    }

    /// Adds the vector of the next row.
    pub(in super::super) fn push(&mut self, vector: Option<&SparseVector>) {
        if (self.starts.len() - 1).is_multiple_of(self.range_rows as usize) {
            self.largest_range = self.largest_range.max(self.last_range());
            self.before_last = self.indices.len();
        }
        if let Some(vector) = vector {
            self.indices.extend_from_slice(vector.indices());
            self.values.extend_from_slice(vector.values());
            self.last_term = self.last_term.max(vector.indices().last().copied().unwrap_or(0));
        }
        self.starts.push(self.indices.len() as u64);
    }

    /// Whether no row had a vector.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Bytes of memory held, and of what the bounds take while they are made:
    /// one range is sorted at a time, and the directory has each term once in
    /// each range.
    pub(in super::super) fn memory_bytes(&self) -> usize {
        let sorted = self.largest_range.max(self.last_range());
        let ranges = (self.starts.len() - 1).div_ceil(self.range_rows as usize);
        let terms = self.indices.len().min((self.last_term as usize + 1).saturating_mul(ranges));
        (self.indices.capacity() + self.values.capacity()) * 4
            + self.starts.capacity() * size_of::<u64>()
            + sorted * size_of::<Posting>()
            + terms * DIRECTORY_BYTES
    }

    fn last_range(&self) -> usize {
        self.indices.len() - self.before_last
    }

    /// Writes the four sections. Rows in `superseded` have no bounds.
    pub(in super::super) fn write<F: ScratchFile>(
        self,
        out: &mut FileWriter<F>,
        superseded: &RoaringBitmap,
        pool: &rayon::ThreadPool,
    ) -> io::Result<()> {
        out.section(Kind::SparseOffsets, |out| out.put(bytemuck::cast_slice(&self.starts)))?;
        out.section(Kind::SparseEntries, |out| {
            out.put(bytemuck::cast_slice(&self.indices))?;
            out.put(bytemuck::cast_slice(&self.values))
        })?;
        let rows = (self.starts.len() - 1) as u32;
        let mut directory = Directory::default();
        out.section(Kind::SparseBounds, |out| {
            let mut at = 0;
            for first in (0..rows).step_by(self.range_rows as usize) {
                let range = first..rows.min(first.saturating_add(self.range_rows));
                let blocks = (range.end - first).div_ceil(BLOCK_ROWS) as usize;
                directory.firsts.push(directory.terms.len() as u64);
                let postings = self.postings(range, superseded, pool);
                directory.reserve(postings.chunk_by(|a, b| a.term == b.term).count());
                for term in postings.chunk_by(|a, b| a.term == b.term) {
                    let (bytes, flags) = directory.add(term, blocks);
                    directory.starts.push(at << FLAG_BITS | flags);
                    at += bytes.len() as u64;
                    out.put(&bytes)?;
                }
            }
            directory.firsts.push(directory.terms.len() as u64);
            directory.starts.push(at << FLAG_BITS);
            Ok::<_, io::Error>(())
        })?;
        out.section(Kind::SparseTerms, |out| {
            out.put(&u64::from(self.range_rows).to_le_bytes())?;
            out.put(bytemuck::cast_slice(&directory.firsts))?;
            out.put(bytemuck::cast_slice(&directory.starts))?;
            out.put(bytemuck::cast_slice(&directory.steps))?;
            out.put(bytemuck::cast_slice(&directory.terms))
        })
    }

    /// The entries of a range's live rows by term, then block. Those of equal
    /// term and block are in any order: only the largest counts.
    fn postings(
        &self,
        range: std::ops::Range<u32>,
        superseded: &RoaringBitmap,
        pool: &rayon::ThreadPool,
    ) -> Vec<Posting> {
        let bounds = [range.start, range.end].map(|row| self.starts[row as usize] as usize);
        let mut postings = Vec::with_capacity(bounds[1] - bounds[0]);
        for row in range.clone().filter(|&row| !superseded.contains(row)) {
            let block = ((row - range.start) / BLOCK_ROWS) as u16;
            let entries =
                self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize;
            for at in entries {
                postings.push(Posting { term: self.indices[at], block, weight: self.values[at] });
            }
        }
        pool.install(|| postings.par_sort_unstable_by_key(|posting| (posting.term, posting.block)));
        postings
    }
}

impl Directory {
    /// Makes room for exactly so many more terms.
    fn reserve(&mut self, terms: usize) {
        self.starts.reserve_exact(terms + 1);
        self.terms.reserve_exact(terms);
        self.steps.reserve_exact(terms);
    }

    /// Adds a term with these postings, in a range of so many blocks: its
    /// bounds as bytes, and their flags.
    fn add(&mut self, postings: &[Posting], blocks: usize) -> (Vec<u8>, u64) {
        let largest = postings.iter().fold(0.0_f32, |max, posting| max.max(posting.weight.abs()));
        let step = step_of(largest);
        self.terms.push(postings[0].term);
        self.steps.push(step);
        let steps: Vec<Steps> = postings
            .chunk_by(|a, b| a.block == b.block)
            .map(|block| {
                let above = block.iter().map(|posting| steps_of(posting.weight, step)).max();
                let below = block.iter().map(|posting| steps_of(-posting.weight, step)).max();
                (block[0].block, above.unwrap_or_default(), below.unwrap_or_default())
            })
            .collect();
        encode(&steps, blocks)
    }
}

/// A step of which 255 are at least `largest`.
fn step_of(largest: f32) -> f32 {
    (f64::from(largest) / 255.0 * (1.0 + f64::from(f32::EPSILON))) as f32 + f32::MIN_POSITIVE
}

/// The number of steps that are at least `weight`; 0 where that is not
/// positive.
fn steps_of(weight: f32, step: f32) -> u8 {
    if weight <= 0.0 {
        return 0;
    }
    let steps = (f64::from(weight) / f64::from(step)).ceil() as u8;
    // The quotient may have been rounded down to a whole number.
    if f64::from(steps) * f64::from(step) < f64::from(weight) { steps + 1 } else { steps }
}

/// The bounds of a term, which end at a multiple of 2.
fn encode(steps: &[Steps], blocks: usize) -> (Vec<u8>, u64) {
    let signed = steps.iter().any(|steps| steps.2 > 0);
    let mut flags = if signed { SIGNED } else { 0 };
    let mut bytes = Vec::new();
    if steps.len() * BLOCKS_PER_LISTED >= blocks {
        flags |= EVERY_BLOCK;
        let width = blocks.next_multiple_of(2);
        bytes.resize(if signed { 2 * width } else { width }, 0);
        for &(block, above, below) in steps {
            bytes[usize::from(block)] = above;
            if signed {
                bytes[width + usize::from(block)] = below;
            }
        }
    } else {
        steps.iter().for_each(|steps| bytes.extend(steps.0.to_le_bytes()));
        bytes.extend(steps.iter().map(|steps| steps.1));
        if signed {
            bytes.extend(steps.iter().map(|steps| steps.2));
        }
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    }
    (bytes, flags)
}
