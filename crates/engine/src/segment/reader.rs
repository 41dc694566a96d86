//! Opens a segment and reads rows, ids and filters from it.
//!
//! Opening checks the frame, every checksum but the dense vectors' own, and
//! everything that reading relies on, so that no bytes make a read panic;
//! after that all but a few small structures stays in the file's bytes.

use std::sync::Arc;

use crossbill_core::{Filter, IndexShape, Metadata, PartBytes, Record, SparseVector, VectorType};
use roaring::RoaringBitmap;

use super::bytes_view::{check_starts, checked, view};
use super::facts::Facts;
use super::ids::{IdBytes, Ids};
use super::layout::{Kind, read_footer};
use super::matching::{Matching, MatchingCache};
use super::metadata_index::MetadataIndex;
use super::sparse::{Sparse, SparseBytes};
use super::vectors::{Vectors, check_vectors};
use crate::rows::RowSet;
use crate::text::read_section;
use crate::{FormatError, Ivf, TextIndex};

/// An open segment; cheap to share behind an `Arc`. Calls that take a row
/// panic where there is no such row, as a slice does.
pub struct Segment {
    pub(super) bytes: PartBytes,
    pub(super) sections: Sections,
    pub(super) facts: Facts,
    pub(super) superseded: RoaringBitmap,
    pub(super) ivf: Option<Ivf>,
    text: Option<TextIndex>,
    checksum: u32,
    pub(super) matching: MatchingCache,
    /// Rows whose vectors are read where they are mapped.
    resident_rows: u32,
}

/// Where each section stands; (0, 0) for one that is not there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections([(usize, usize); Kind::ALL.len() + 1]);

impl Sections {
    /// Finds the sections and checks their versions and checksums.
    fn read(file: &[u8]) -> Result<(Self, u32), FormatError> {
        let (entries, checksum) = read_footer(file)?;
        let mut sections = Self([(0, 0); Kind::ALL.len() + 1]);
        for entry in entries {
            // A kind of a later version that this one can do without.
            let Some(kind) = Kind::from_number(entry.kind) else { continue };
            if entry.version != kind.version() {
                return Err(FormatError::Version {
                    what: kind.label(),
                    found: entry.version,
                    expected: kind.version(),
                });
            }
            let place = &mut sections.0[kind as usize];
            if place.0 != 0 {
                return Err(FormatError::damaged(kind.label(), "the section twice", "once"));
            }
            *place = (entry.offset as usize, entry.length as usize);
            if kind != Kind::Vectors {
                let found = crc32c::crc32c(sections.of(file, kind));
                if found != entry.crc {
                    return Err(FormatError::checksum(kind.label(), found, entry.crc));
                }
            }
        }
        Ok((sections, checksum))
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.0[kind as usize].0 != 0
    }

    /// Offset and length of a section.
    pub(super) fn place(&self, kind: Kind) -> (usize, usize) {
        self.0[kind as usize]
    }

    pub(super) fn of<'a>(&self, file: &'a [u8], kind: Kind) -> &'a [u8] {
        let (offset, length) = self.0[kind as usize];
        &file[offset..offset + length]
    }

    /// Checks that of a group of sections all are there or none is.
    fn check_together(&self, kinds: &[Kind]) -> Result<bool, FormatError> {
        let missing = kinds.iter().find(|&&kind| !self.has(kind));
        match missing {
            None => Ok(true),
            Some(_) if !kinds.iter().any(|&kind| self.has(kind)) => Ok(false),
            Some(kind) => Err(FormatError::damaged(kind.label(), "no section", "one")),
        }
    }

    /// Checks that all of `kinds` are there, or that none is.
    fn check_presence(&self, kinds: &[Kind], wanted: bool) -> Result<(), FormatError> {
        match kinds.iter().find(|&&kind| self.has(kind) != wanted) {
            None => Ok(()),
            Some(kind) if wanted => Err(FormatError::damaged(kind.label(), "no section", "one")),
            Some(kind) => Err(FormatError::damaged(kind.label(), "a section", "none")),
        }
    }
}

impl Segment {
    /// Opens the segment in `bytes`, which must stand at an address that is a
    /// multiple of 8 (a memory map does, and [`super::AlignedBytes`]).
    ///
    /// # Errors
    /// Whatever of the bytes no writer of this format writes. The dense
    /// vectors alone are not read: [`Segment::verify`] does.
    pub fn open(bytes: PartBytes) -> Result<Segment, FormatError> {
        let file = (*bytes).as_ref();
        checked::<u64>("segment", &file[..file.len() / 8 * 8])?;
        let (sections, checksum) = Sections::read(file)?;
        sections.check_presence(&[Kind::Facts], true)?;
        let facts = Facts::from_bytes(sections.of(file, Kind::Facts))?;
        let dense = facts.shape.vector_type == VectorType::Dense;
        sections.check_presence(&[Kind::Vectors, Kind::VectorBlocks], dense)?;
        let blocks = sections.of(file, Kind::VectorBlocks);
        check_vectors(&facts, sections.of(file, Kind::Vectors), blocks)?;
        let superseded = check_ids(file, &sections, &facts)?;
        let sparse =
            [Kind::SparseOffsets, Kind::SparseEntries, Kind::SparseTerms, Kind::SparseBounds];
        if sections.check_together(&sparse)? {
            Sparse::check(facts.rows, sparse_bytes(file, &sections))?;
        }
        check_metadata(file, &sections, facts.rows)?;
        let ivf = open_ivf(file, &sections, &facts)?;
        let text = open_text(&bytes, &sections, &facts)?;
        let resident_rows = facts.rows;
        let matching = MatchingCache::new(facts.rows);
        Ok(Segment {
            bytes,
            sections,
            facts,
            superseded,
            ivf,
            text,
            checksum,
            matching,
            resident_rows,
        })
    }

    /// Sets how many bytes of the full vectors may become part of the
    /// process's memory; the others are copied each time they are needed.
    /// Without this, all may.
    pub fn set_resident_vectors(&mut self, bytes: u64) {
        let row_bytes = self.facts.shape.row_bytes().max(1) as u64;
        let rows = u32::try_from(bytes / row_bytes).unwrap_or(u32::MAX);
        self.resident_rows = rows.min(self.facts.rows);
    }

    /// The index's shape.
    pub fn shape(&self) -> &IndexShape {
        &self.facts.shape
    }

    /// Rows, superseded ones included.
    pub fn rows(&self) -> u32 {
        self.facts.rows
    }

    /// Rows replaced by a later row of this segment.
    pub fn superseded(&self) -> &RoaringBitmap {
        &self.superseded
    }

    /// The file's checksum, as [`super::BuiltSegment`] gave it.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The id of `row`.
    pub fn id(&self, row: u32) -> &str {
        self.ids().get(row)
    }

    /// The dense vector of `row`; empty in a sparse index.
    pub fn vector(&self, row: u32) -> Vec<f32> {
        assert!(row < self.rows(), "row {row} of a segment of {} rows", self.rows());
        self.vectors().decoded(row)
    }

    /// The sparse vector of `row`, where it has one.
    pub fn sparse(&self, row: u32) -> Option<SparseVector> {
        self.sparse_part()?.vector(row)
    }

    /// The metadata of `row` as canonical JSON, where it has any.
    pub fn metadata_json(&self, row: u32) -> Option<&str> {
        let bytes = self.section(Kind::Metadata);
        if bytes.is_empty() {
            return None;
        }
        let offsets: &[u64] = view(self.section(Kind::MetadataOffsets));
        let range = offsets[row as usize] as usize..offsets[row as usize + 1] as usize;
        let json = std::str::from_utf8(&bytes[range]).expect("text was found sound at open");
        (!json.is_empty()).then_some(json)
    }

    /// All of `row`. Metadata that is no metadata, which only stands in a
    /// file that `verify` refuses, is left out.
    pub fn record(&self, row: u32) -> Record {
        Record {
            id: self.id(row).to_owned(),
            values: self.vector(row),
            sparse: self.sparse(row),
            metadata: self
                .metadata_json(row)
                .and_then(|json| Metadata::from_stored_json(json).ok()),
        }
    }

    /// The row of `id` that is not superseded.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.ids().find(id)
    }

    /// Rows in the order of their ids (as bytes), superseded ones left out:
    /// those whose id starts with `prefix` and comes after `after`.
    pub fn ids_after<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, u32)> + 'a {
        self.ids().after(prefix, after)
    }

    /// Ids that both segments hold, as (own row, the other's row) in id
    /// order; superseded rows left out.
    pub fn common_ids(&self, other: &Segment) -> Vec<(u32, u32)> {
        self.ids().common(&other.ids())
    }

    /// The words of its text fields, where a row has any.
    pub fn text(&self) -> Option<&TextIndex> {
        self.text.as_ref()
    }

    /// Rows whose metadata matches, superseded ones included.
    /// Sets asked for lately are kept.
    pub fn matching(&self, filter: &Filter) -> Arc<Matching> {
        self.look_up(filter).0
    }

    /// The same, and whether the set was kept.
    pub fn look_up(&self, filter: &Filter) -> (Arc<Matching>, bool) {
        let many = |part: &Filter| self.matching(part);
        let make = || {
            Matching::new(match filter {
                Filter::Text(..) => self.rows_with(filter),
                _ => self.metadata_index().matching(filter, &many),
            })
        };
        self.matching.get(filter, make)
    }

    /// The rows that a condition on words lets through. None where their words
    /// cannot be read, which `verify` finds and only a faulty writer makes.
    fn rows_with(&self, condition: &Filter) -> RowSet {
        let rows = self.text.as_ref().map(|text| text.row_set_with(condition));
        rows.and_then(Result::ok).unwrap_or_else(|| RowSet::none(self.rows()))
    }

    pub(super) fn section(&self, kind: Kind) -> &[u8] {
        self.sections.of((*self.bytes).as_ref(), kind)
    }

    pub(super) fn ids(&self) -> Ids<'_> {
        Ids::new(id_bytes((*self.bytes).as_ref(), &self.sections))
    }

    pub(super) fn vectors(&self) -> Vectors<'_> {
        Vectors {
            shape: &self.facts.shape,
            part: &*self.bytes,
            place: self.sections.place(Kind::Vectors),
            resident_rows: self.resident_rows,
            rows: self.rows(),
        }
    }

    pub(super) fn sparse_part(&self) -> Option<Sparse<'_>> {
        self.sections
            .has(Kind::SparseOffsets)
            .then(|| Sparse::new(self.rows(), sparse_bytes((*self.bytes).as_ref(), &self.sections)))
    }

    pub(super) fn metadata_index(&self) -> MetadataIndex<'_> {
        MetadataIndex::new(self.section(Kind::MetadataIndex), self.facts.rows)
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("facts", &self.facts)
            .field("checksum", &self.checksum)
            .finish_non_exhaustive()
    }
}

fn check_ids(
    file: &[u8],
    sections: &Sections,
    facts: &Facts,
) -> Result<RoaringBitmap, FormatError> {
    let kinds = [Kind::Ids, Kind::IdOffsets, Kind::IdOrder, Kind::IdTable, Kind::Superseded];
    sections.check_presence(&kinds, true)?;
    Ids::check(facts.rows, facts.live_rows, id_bytes(file, sections))?;
    let superseded = RoaringBitmap::deserialize_from(sections.of(file, Kind::Superseded))
        .map_err(|error| FormatError::damaged("superseded", error.to_string(), "a bitmap"))?;
    let inside = superseded.max().is_none_or(|row| row < facts.rows);
    if !inside || superseded.len() != u64::from(facts.rows - facts.live_rows) {
        return Err(FormatError::damaged(
            "superseded",
            format!("{} rows up to {:?}", superseded.len(), superseded.max()),
            format!("{} of {} rows", facts.rows - facts.live_rows, facts.rows),
        ));
    }
    Ok(superseded)
}

fn check_metadata(file: &[u8], sections: &Sections, rows: u32) -> Result<(), FormatError> {
    MetadataIndex::check(sections.of(file, Kind::MetadataIndex))?;
    if !sections.check_together(&[Kind::Metadata, Kind::MetadataOffsets])? {
        return sections.check_presence(&[Kind::MetadataIndex], false);
    }
    let bytes = sections.of(file, Kind::Metadata);
    let offsets: &[u64] = checked("metadata offsets", sections.of(file, Kind::MetadataOffsets))?;
    if offsets.len() as u64 != u64::from(rows) + 1 {
        let found = format!("{} offsets", offsets.len());
        let expected = (u64::from(rows) + 1).to_string();
        return Err(FormatError::damaged("metadata offsets", found, expected));
    }
    check_starts("metadata offsets", offsets, bytes.len() as u64)?;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FormatError::damaged("metadata", error.to_string(), "UTF-8"))?;
    match offsets.iter().find(|&&offset| !text.is_char_boundary(offset as usize)) {
        Some(offset) => {
            let found = format!("an offset {offset} within a character");
            Err(FormatError::damaged("metadata offsets", found, "one between characters"))
        }
        None => Ok(()),
    }
}

fn open_ivf(file: &[u8], sections: &Sections, facts: &Facts) -> Result<Option<Ivf>, FormatError> {
    let kinds = [Kind::IvfCentroids, Kind::IvfPostings, Kind::IvfTuning];
    if !sections.check_together(&kinds)? {
        return Ok(None);
    }
    if facts.shape.vector_type == VectorType::Sparse {
        sections.check_presence(&kinds, false)?;
    }
    let [centroids, postings, tuning] = kinds.map(|kind| sections.of(file, kind));
    Ivf::open(&facts.shape, facts.rows, centroids, postings, tuning).map(Some)
}

fn open_text(
    part: &PartBytes,
    sections: &Sections,
    facts: &Facts,
) -> Result<Option<TextIndex>, FormatError> {
    if !sections.has(Kind::Text) {
        return Ok(None);
    }
    let (offset, length) = sections.place(Kind::Text);
    read_section(part, offset..offset + length, facts.rows).map(Some)
}

fn id_bytes<'a>(file: &'a [u8], sections: &Sections) -> IdBytes<'a> {
    IdBytes {
        bytes: sections.of(file, Kind::Ids),
        offsets: sections.of(file, Kind::IdOffsets),
        order: sections.of(file, Kind::IdOrder),
        table: sections.of(file, Kind::IdTable),
    }
}

fn sparse_bytes<'a>(file: &'a [u8], sections: &Sections) -> SparseBytes<'a> {
    SparseBytes {
        offsets: sections.of(file, Kind::SparseOffsets),
        entries: sections.of(file, Kind::SparseEntries),
        terms: sections.of(file, Kind::SparseTerms),
        bounds: sections.of(file, Kind::SparseBounds),
    }
}
