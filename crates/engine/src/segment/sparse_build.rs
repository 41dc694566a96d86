//! Gathers sparse vectors while records arrive, and writes them twice: row
//! after row for fetching and rescoring, term after term for searching.

use std::io;

use crossbill_core::{ScratchFile, SparseVector};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::layout::Kind;
use super::writer::FileWriter;

/// The sparse vectors of the rows pushed so far.
#[derive(Debug)]
pub(super) struct SparseBuilder {
    indices: Vec<u32>,
    values: Vec<f32>,
    /// One more than there are rows; starts with 0.
    starts: Vec<u64>,
}

/// One entry of the inverted index while it is sorted.
#[derive(Debug, Clone, Copy)]
struct Posting {
    term: u32,
    row: u32,
    weight: f32,
}

impl Default for SparseBuilder {
    fn default() -> Self {
        Self { indices: Vec::new(), values: Vec::new(), starts: vec![0] }
    }
}

impl SparseBuilder {
    /// Adds the vector of the next row.
    pub(super) fn push(&mut self, vector: Option<&SparseVector>) {
        if let Some(vector) = vector {
            self.indices.extend_from_slice(vector.indices());
            self.values.extend_from_slice(vector.values());
        }
        self.starts.push(self.indices.len() as u64);
    }

    /// Whether no row had a vector.
    pub(super) fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Bytes of memory held, and of what the index takes while it is sorted.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.indices.capacity() + self.values.capacity()) * 4
            + self.starts.capacity() * size_of::<u64>()
            + self.indices.len() * size_of::<Posting>()
    }

    /// Writes the four sections. Rows in `superseded` have no postings.
    pub(super) fn write<F: ScratchFile>(
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
        let postings = self.into_postings(superseded, pool);
        let terms = || postings.chunk_by(|a, b| a.term == b.term);
        out.section(Kind::SparseTerms, |out| {
            out.put(&(terms().count() as u64).to_le_bytes())?;
            let mut start = 0_u64;
            for term in terms() {
                out.put(&start.to_le_bytes())?;
                start += term.len() as u64;
            }
            out.put(&start.to_le_bytes())?;
            terms().try_for_each(|term| out.put(&term[0].term.to_le_bytes()))
        })?;
        out.section(Kind::SparsePostings, |out| {
            postings.iter().try_for_each(|posting| out.put(&posting.row.to_le_bytes()))?;
            postings.iter().try_for_each(|posting| out.put(&posting.weight.to_le_bytes()))
        })
    }

    /// All postings by term, then row. A row has a term once, so the order is
    /// total.
    fn into_postings(self, superseded: &RoaringBitmap, pool: &rayon::ThreadPool) -> Vec<Posting> {
        let mut postings = Vec::with_capacity(self.indices.len());
        for (pair, row) in self.starts.windows(2).zip(0_u32..) {
            if superseded.contains(row) {
                continue;
            }
            for at in pair[0] as usize..pair[1] as usize {
                postings.push(Posting { term: self.indices[at], row, weight: self.values[at] });
            }
        }
        pool.install(|| postings.par_sort_unstable_by_key(|posting| (posting.term, posting.row)));
        postings
    }
}
