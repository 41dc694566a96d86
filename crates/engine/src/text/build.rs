//! Gathers the words of rows and gives them as one piece, which is the same for
//! the same rows. All in memory, which is counted.

use std::sync::Arc;

use crossbill_core::Metadata;
use tantivy::directory::OwnedBytes;
use tantivy::indexer::SingleSegmentIndexWriter;
use tantivy::schema::Field;
use tantivy::{Index, IndexSettings, TantivyDocument};

use super::fields::TextFields;
use super::files::Files;

/// The files of an index by their endings, in the order in which they are stored.
pub(super) const ENDINGS: [&str; 6] = ["term", "idx", "pos", "fieldnorm", "fast", "store"];

/// The least that a hash table may take, so that a few rows do not take
/// much; it grows.
const TABLE_BYTES: usize = 256 * 1024;

/// The words of rows.
pub(crate) struct TextBuilder {
    fields: TextFields,
    /// From the first row on that has words.
    writer: Option<(SingleSegmentIndexWriter, Files)>,
    /// Rows that the writer has.
    rows: u32,
}

/// The words of all rows, whole.
pub(crate) struct BuiltText {
    pub(super) rows: u32,
    /// In the order of [`ENDINGS`].
    pub(super) files: [Option<Arc<OwnedBytes>>; ENDINGS.len()],
}

impl TextBuilder {
    /// No row has words.
    pub(crate) fn new(fields: &TextFields) -> Self {
        Self { fields: fields.clone(), writer: None, rows: 0 }
    }

    /// The fields that it gathers words of.
    pub(crate) fn fields(&self) -> &TextFields {
        &self.fields
    }

    /// Adds the words of `row`; rows come in ascending order, those without
    /// any may be left out.
    pub(crate) fn push(&mut self, row: u32, metadata: &Metadata) -> tantivy::Result<()> {
        let mut document = TantivyDocument::new();
        let mut has_text = false;
        for (number, text) in self.fields.texts(metadata) {
            document.add_text(Field::from_field_id(number as u32), text);
            has_text = true;
        }
        if !has_text {
            return Ok(());
        }
        self.fill(row)?;
        if let Some((writer, _)) = &mut self.writer {
            writer.add_document(document)?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Adds rows without words up to `row`.
    fn fill(&mut self, row: u32) -> tantivy::Result<()> {
        let (writer, _) = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let files = Files::default();
                // No threads: who waits for a build pays for it.
                let settings = IndexSettings {
                    docstore_compress_dedicated_thread: false,
                    ..Default::default()
                };
                let writer = Index::builder()
                    .schema(self.fields.tantivy().clone())
                    .settings(settings)
                    .tokenizers(self.fields.tokenizers())
                    .single_segment_index_writer(files.clone(), TABLE_BYTES)?;
                none.insert((writer, files))
            }
        };
        while self.rows < row {
            writer.add_document(TantivyDocument::new())?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Bytes of memory held, and of what [`TextBuilder::finish`] takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, |(writer, _)| 2 * writer.mem_usage())
    }

    /// The words of `rows` rows; nothing where none has any.
    pub(crate) fn finish(mut self, rows: u32) -> tantivy::Result<Option<BuiltText>> {
        if self.writer.is_none() {
            return Ok(None);
        }
        self.fill(rows)?;
        let Some((writer, files)) = self.writer else { return Ok(None) };
        drop(writer.finalize()?);
        Ok(Some(BuiltText { rows, files: ENDINGS.map(|ending| files.take(ending)) }))
    }
}
