//! Each row's sparse entries where they stand in the file: indices ascending,
//! their weights beside them. Knows no queries and no bounds.

use crossbill_core::SparseVector;

use super::super::bytes_view::{check_starts, checked};
use crate::FormatError;
use crate::kernels;

/// Entries fetched ahead of a block at most; the processor follows by itself.
const PREFETCHED: usize = 256;

/// The entries of all rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    offsets: &'a [u64],
    indices: &'a [u32],
    values: &'a [f32],
}

impl<'a> Rows<'a> {
    /// The sections, whose offsets are not looked at yet.
    pub(super) fn read(
        rows: u32,
        offsets: &'a [u8],
        entries: &'a [u8],
    ) -> Result<Self, FormatError> {
        let offsets: &[u64] = checked("sparse offsets", offsets)?;
        if offsets.len() as u64 != u64::from(rows) + 1 {
            let found = format!("{} offsets", offsets.len());
            let expected = (u64::from(rows) + 1).to_string();
            return Err(FormatError::damaged("sparse offsets", found, expected));
        }
        if !entries.len().is_multiple_of(8) {
            let found = format!("{} bytes", entries.len());
            return Err(FormatError::damaged("sparse entries", found, "a multiple of 8"));
        }
        let (indices, values) = entries.split_at(entries.len() / 2);
        let (indices, values) =
            (checked("sparse entries", indices)?, checked("sparse entries", values)?);
        Ok(Self { offsets, indices, values })
    }

    /// Checks what reading rows relies on.
    pub(super) fn check(&self) -> Result<(), FormatError> {
        check_starts("sparse offsets", self.offsets, self.indices.len() as u64)
    }

    /// Checks that each row's vector is one that may be stored.
    pub(super) fn verify(&self) -> Result<(), FormatError> {
        for row in 0..self.count() {
            let (indices, values) = self.entries(row);
            let ascending = indices.is_sorted_by(|a, b| a < b);
            if !ascending || (!indices.is_empty() && self.vector(row).is_none()) {
                let found = format!("row {row} with {} values", values.len());
                return Err(FormatError::damaged("sparse entries", found, "a sparse vector"));
            }
        }
        Ok(())
    }

    /// Rows there are.
    pub(super) fn count(&self) -> u32 {
        (self.offsets.len() - 1) as u32
    }

    /// The indices of `row`, and their weights.
    #[inline]
    pub(super) fn entries(&self, row: u32) -> (&'a [u32], &'a [f32]) {
        let row = row as usize;
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        (&self.indices[range.clone()], &self.values[range])
    }

    /// The entries of rows `first` to `end`, end to end, and the number of
    /// the first one.
    #[inline]
    pub(super) fn entries_of(&self, first: u32, end: u32) -> (&'a [u32], &'a [f32], usize) {
        let start = self.offsets[first as usize] as usize;
        let range = start..self.offsets[end as usize] as usize;
        (&self.indices[range.clone()], &self.values[range], start)
    }

    /// The number of the entry after the last one of `row`.
    #[inline]
    pub(super) fn end_of(&self, row: u32) -> usize {
        self.offsets[row as usize + 1] as usize
    }

    /// Asks for the indices of a block of rows from `first` on.
    #[inline]
    pub(super) fn prefetch(&self, first: u32) {
        if let Some(&start) = self.offsets.get(first as usize) {
            let rest = &self.indices[start as usize..];
            kernels::prefetch(&rest[..rest.len().min(PREFETCHED)]);
        }
    }

    /// The vector of `row`, where it has one.
    pub(super) fn vector(&self, row: u32) -> Option<SparseVector> {
        let (indices, values) = self.entries(row);
        // An empty vector is none; entries that no vector may have only
        // stand in a file that `verify` refuses.
        SparseVector::new(indices.to_vec(), values.to_vec()).ok()
    }
}
