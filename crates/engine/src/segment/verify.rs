//! The checks that take a whole read of the segment: the dense vectors'
//! checksums, the sections this program does not know, and what a search
//! relies on for right answers (opening checks what it relies on for not
//! panicking).

use crossbill_core::Metadata;

use super::Segment;
use super::bytes_view::view;
use super::layout::{HEADER_BYTES, Kind, footer_bytes, read_footer};
use super::writer::{BLOCK_BYTES, combined};
use crate::FormatError;

impl Segment {
    /// Reads every byte and checks all that can be checked.
    ///
    /// # Errors
    /// The first thing found that no writer of this format writes.
    pub fn verify(&self) -> Result<(), FormatError> {
        self.verify_in_steps(&mut |_| ())
    }

    /// The same; `step` is called before each block of the vectors is read,
    /// with its bytes, so that who must not read too fast can wait there.
    ///
    /// # Errors
    /// As of [`Segment::verify`].
    pub fn verify_in_steps(&self, step: &mut dyn FnMut(u64)) -> Result<(), FormatError> {
        self.verify_vectors(step)?;
        self.verify_unknown_sections()?;
        self.verify_gaps()?;
        self.verify_ids()?;
        if let Some(sparse) = self.sparse_part() {
            sparse.verify(&self.superseded)?;
        }
        self.metadata_index().verify()?;
        if let Some(text) = self.text() {
            text.verify()?;
        }
        self.verify_metadata()
    }

    /// Bytes of the dense vectors: most of the file, and what opening does not
    /// read.
    pub fn vector_bytes(&self) -> u64 {
        self.section(Kind::Vectors).len() as u64
    }

    fn verify_vectors(&self, step: &mut dyn FnMut(u64)) -> Result<(), FormatError> {
        let bytes = self.section(Kind::Vectors);
        let stored: &[u32] = view(self.section(Kind::VectorBlocks));
        for (block, &expected) in bytes.chunks(BLOCK_BYTES).zip(stored) {
            step(block.len() as u64);
            let found = crc32c::crc32c(block);
            if found != expected {
                return Err(FormatError::checksum("a block of the vectors", found, expected));
            }
        }
        let (entries, _) = read_footer((*self.bytes).as_ref())?;
        match entries.iter().find(|entry| entry.kind == Kind::Vectors as u32) {
            Some(entry) if entry.crc != combined(stored, bytes.len() as u64) => {
                let found = combined(stored, bytes.len() as u64);
                Err(FormatError::checksum("vectors", found, entry.crc))
            }
            _ => Ok(()),
        }
    }

    fn verify_unknown_sections(&self) -> Result<(), FormatError> {
        let file = (*self.bytes).as_ref();
        let (entries, _) = read_footer(file)?;
        for entry in entries.iter().filter(|entry| Kind::from_number(entry.kind).is_none()) {
            let bytes = &file[entry.offset as usize..][..entry.length as usize];
            let found = crc32c::crc32c(bytes);
            if found != entry.crc {
                return Err(FormatError::checksum("a section of a later kind", found, entry.crc));
            }
        }
        Ok(())
    }

    fn verify_gaps(&self) -> Result<(), FormatError> {
        let file = (*self.bytes).as_ref();
        let (mut entries, _) = read_footer(file)?;
        entries.sort_by_key(|entry| entry.offset);
        let table_at = file.len() - footer_bytes(entries.len());
        let ends = entries.iter().map(|entry| (entry.offset + entry.length) as usize);
        let starts = entries.iter().map(|entry| entry.offset as usize);
        let gaps = std::iter::once(HEADER_BYTES).chain(ends).zip(starts.chain([table_at]));
        for (from, to) in gaps {
            // Sections that overlap have no gap between them.
            let gap = file.get(from..to).unwrap_or_default();
            if let Some(at) = gap.iter().position(|byte| *byte != 0) {
                let found = format!("byte {:02x} at {}", gap[at], from + at);
                return Err(FormatError::damaged("a gap between sections", found, "zeros"));
            }
        }
        Ok(())
    }

    fn verify_ids(&self) -> Result<(), FormatError> {
        let ids = self.ids();
        if let Some(row) = ids.first_disorder() {
            let found = format!("row {row} out of order");
            return Err(FormatError::damaged("id order", found, "ascending ids"));
        }
        if let Some(&row) = ids.order().iter().find(|&&row| ids.find(ids.get(row)) != Some(row)) {
            let found = format!("another row or none for the id of row {row}");
            return Err(FormatError::damaged("id table", found, "that row"));
        }
        // Their number was checked: disjoint, they are all the rows.
        if let Some(row) = ids.order().iter().find(|&&row| self.superseded.contains(row)) {
            let found = format!("row {row}, which is superseded");
            return Err(FormatError::damaged("id order", found, "rows that are not"));
        }
        for row in &self.superseded {
            if ids.find(ids.get(row)).is_none_or(|live| live <= row) {
                let found = format!("row {row}, which no later row replaces");
                return Err(FormatError::damaged("superseded", found, "rows that one replaces"));
            }
        }
        Ok(())
    }

    fn verify_metadata(&self) -> Result<(), FormatError> {
        for row in 0..self.rows() {
            let Some(json) = self.metadata_json(row) else { continue };
            if let Err(error) = Metadata::from_stored_json(json) {
                let found = format!("in row {row}: {error}");
                return Err(FormatError::damaged("metadata", found, "metadata as JSON"));
            }
        }
        Ok(())
    }
}
