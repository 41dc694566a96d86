//! Gathers fields and values while records arrive and writes the index.
//! Holds row numbers and hashes, never the values' text.

use std::collections::BTreeMap;
use std::io;

use crossbill_core::{Metadata, MetadataValue, ScratchFile, TextSchema};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::{ENTRY_WORDS, ValueHash, hash_string};
use crate::segment::writer::FileWriter;

/// What one more field costs, beside its name and arrays; an estimate.
const FIELD_BYTES: usize = 512;

/// A string value of a row. Packed as 20 bytes, and compared as hash, row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct StringEntry {
    hash: ValueHash,
    row: u32,
}

#[derive(Debug, Default)]
struct Field {
    strings: Vec<StringEntry>,
    numbers: Vec<(f64, u32)>,
    exists: RoaringBitmap,
    trues: RoaringBitmap,
    falses: RoaringBitmap,
}

/// The index of the records pushed so far.
#[derive(Debug, Default)]
pub(in crate::segment) struct MetadataIndexBuilder {
    fields: BTreeMap<String, Field>,
    /// Bytes of names, and entries of bitmaps: what the arrays do not show.
    name_bytes: usize,
    bits: usize,
}

impl MetadataIndexBuilder {
    /// Adds the metadata of `row`; rows come in ascending order. Of the texts of
    /// `text` fields it only notes that they are there.
    pub(in crate::segment) fn push(&mut self, row: u32, metadata: &Metadata, text: &TextSchema) {
        for (name, value) in &metadata.0 {
            if !self.fields.contains_key(name) {
                self.name_bytes += name.len();
                self.fields.insert(name.clone(), Field::default());
            }
            let field = self.fields.get_mut(name).expect("the field was put there just now");
            field.exists.insert(row);
            self.bits += 1;
            match value {
                MetadataValue::String(_) if text.position(name).is_some() => {}
                MetadataValue::String(text) => field.push_string(row, text),
                MetadataValue::Strings(items) => {
                    items.iter().for_each(|text| field.push_string(row, text));
                }
                // A NaN equals nothing and compares with nothing: no entry.
                MetadataValue::Number(number) if number.is_nan() => {}
                MetadataValue::Number(number) => field.numbers.push((number + 0.0, row)),
                MetadataValue::Bool(truth) => {
                    self.bits += 1;
                    if *truth { &mut field.trues } else { &mut field.falses }.insert(row);
                }
            }
        }
    }

    /// Whether no record had a field.
    pub(in crate::segment) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Bytes of memory held.
    pub(in crate::segment) fn memory_bytes(&self) -> usize {
        let arrays: usize = self
            .fields
            .values()
            .map(|field| {
                field.strings.capacity() * size_of::<StringEntry>()
                    + field.numbers.capacity() * size_of::<(f64, u32)>()
            })
            .sum();
        // A bitmap holds 2 bytes a row at most, beside its head; vectors of
        // that grow by doubling.
        arrays + self.fields.len() * FIELD_BYTES + self.name_bytes + 4 * self.bits
    }

    /// Writes the section's bytes.
    pub(in crate::segment) fn write<F: ScratchFile>(
        mut self,
        out: &mut FileWriter<F>,
        pool: &rayon::ThreadPool,
    ) -> io::Result<()> {
        let mut directory = Vec::with_capacity(self.fields.len());
        for field in self.fields.values_mut() {
            pool.install(|| field.sort());
            directory.push(std::mem::take(field).write(out)?);
        }
        for (name, entry) in self.fields.keys().zip(&mut directory) {
            entry[0] = out.position();
            entry[1] = name.len() as u64;
            out.put(name.as_bytes())?;
        }
        out.pad_to_8()?;
        let directory_at = out.position();
        for entry in &directory {
            out.put(bytemuck::cast_slice(entry))?;
        }
        out.put(bytemuck::cast_slice(&[directory_at, directory.len() as u64]))
    }
}

impl Field {
    fn push_string(&mut self, row: u32, text: &str) {
        self.strings.push(StringEntry { hash: hash_string(text), row });
    }

    /// Entries that compare equal are equal in every bit, so that any sort
    /// gives the same bytes.
    fn sort(&mut self) {
        self.strings.par_sort_unstable();
        // A list may name a value twice.
        self.strings.dedup();
        self.numbers.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }

    /// Writes the arrays of the sorted field; the directory's entry, whose
    /// first two words (the name) the caller fills.
    fn write<F: ScratchFile>(self, out: &mut FileWriter<F>) -> io::Result<[u64; ENTRY_WORDS]> {
        let mut entry = [0; ENTRY_WORDS];
        entry[2] = out.position();
        (entry[3], entry[4]) = (write_strings(&self.strings, out)?, self.strings.len() as u64);
        (entry[5], entry[6]) = (out.position(), self.numbers.len() as u64);
        for (number, _) in &self.numbers {
            out.put(&number.to_le_bytes())?;
        }
        for (_, row) in &self.numbers {
            out.put(&row.to_le_bytes())?;
        }
        out.pad_to_8()?;
        entry[7] = out.position();
        for (mut bitmap, bytes) in
            [self.exists, self.trues, self.falses].into_iter().zip(&mut entry[8..11])
        {
            if bitmap.is_empty() {
                continue;
            }
            bitmap.optimize();
            let mut buffer = Vec::with_capacity(bitmap.serialized_size());
            bitmap.serialize_into(&mut buffer)?;
            out.put(&buffer)?;
            *bytes = buffer.len() as u64;
        }
        out.pad_to_8()?;
        Ok(entry)
    }
}

/// Hashes, starts, rows; the number of different values.
fn write_strings<F: ScratchFile>(
    entries: &[StringEntry],
    out: &mut FileWriter<F>,
) -> io::Result<u64> {
    let values = || entries.chunk_by(|a, b| a.hash == b.hash);
    for value in values() {
        out.put(&value[0].hash)?;
    }
    let mut start = 0_u64;
    for value in values() {
        out.put(&start.to_le_bytes())?;
        start += value.len() as u64;
    }
    out.put(&start.to_le_bytes())?;
    for entry in entries {
        out.put(&entry.row.to_le_bytes())?;
    }
    out.pad_to_8()?;
    Ok(values().count() as u64)
}
