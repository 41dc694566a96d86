//! Builds a segment from batches of checked records.
//!
//! Dense vectors go to the scratch file as they come, right behind the
//! header, and stay there; metadata text goes to a second one and is copied
//! behind them at the end. Ids, sparse vectors, the entries of the metadata
//! index and the words of text fields are held in memory until then, and counted.

use std::io;

use crossbill_core::limits::SEGMENT_ROWS_MAX;
use crossbill_core::{
    IndexShape, MetadataValue, RecordBatch, ScratchFile, ScratchSpace, StringColumn, VectorStorage,
    VectorType, check_record_id,
};
use roaring::RoaringBitmap;

use super::facts::Facts;
use super::id_table;
use super::ids::order_rows;
use super::layout::{HEADER_BYTES, Kind};
use super::metadata_index::MetadataIndexBuilder;
use super::sparse::SparseBuilder;
use super::writer::{FileWriter, VectorColumn};
use super::{BuildError, BuiltSegment, SegmentOptions};
use crate::ivf::stopped;
use crate::text::{TextBuilder, write_section};
use crate::{BuildWatch, RowSource, TextFields, build_ivf, index_bytes_per_row};

/// Bytes copied at a time from the metadata's scratch file.
const COPY_BYTES: usize = 1 << 20;
/// Values of vectors that are encoded at a time.
const ENCODE_VALUES: usize = 1 << 18;
/// What a row takes at the end: 16 bytes to sort it by id, 4 in the order, 12
/// in the table of ids.
const ORDER_BYTES_PER_ROW: usize = 32;

/// Builds one segment. After an error it is of no use any more: drop it, and
/// its files go with it.
pub struct SegmentBuilder<S: ScratchSpace> {
    shape: IndexShape,
    options: SegmentOptions,
    file: S::File,
    vectors: VectorColumn,
    ids: StringColumn,
    sparse: SparseBuilder,
    metadata: MetadataColumn<S::File>,
    index: MetadataIndexBuilder,
    text: TextBuilder,
}

impl<S: ScratchSpace> SegmentBuilder<S> {
    /// An empty builder with its files in `space`.
    pub fn new(shape: IndexShape, options: SegmentOptions, space: &S) -> Result<Self, BuildError> {
        let mut file = space.create("segment")?;
        FileWriter::write_header(&mut file)?;
        Ok(Self {
            shape,
            options,
            file,
            vectors: VectorColumn::default(),
            ids: StringColumn::default(),
            sparse: SparseBuilder::default(),
            metadata: MetadataColumn::new(space.create("segment-metadata")?),
            index: MetadataIndexBuilder::default(),
            text: TextBuilder::new(&TextFields::default()),
        })
    }

    /// The same, for records with these text fields. To be called before the
    /// first of them comes.
    pub fn with_text(mut self, fields: &TextFields) -> Self {
        self.text = TextBuilder::new(fields);
        self
    }

    /// Adds records, which were checked against the shape, in the order in
    /// which a later one of the same id wins.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), BuildError> {
        self.check(batch)?;
        self.push_vectors(&batch.values)?;
        for (at, id) in batch.ids.iter().enumerate() {
            let row = self.rows();
            self.ids.push(id);
            self.sparse.push(batch.sparse(at));
            let metadata = batch.metadata(at);
            self.metadata.push(metadata.map(|metadata| metadata.to_json()).as_deref())?;
            if let Some(metadata) = metadata {
                self.index.push(row, metadata, self.text.fields().schema());
                self.text.push(row, metadata)?;
            }
        }
        Ok(())
    }

    /// Appends vectors, which were rounded to what their encoding keeps.
    fn push_vectors(&mut self, values: &[f32]) -> io::Result<()> {
        if values.is_empty() || self.shape.storage == VectorStorage::F32 {
            return self.vectors.append(&mut self.file, bytemuck::cast_slice(values));
        }
        let (dimension, row_bytes) = (self.shape.dimension as usize, self.shape.row_bytes());
        let mut encoded = Vec::new();
        for values in values.chunks((ENCODE_VALUES / dimension).max(1) * dimension) {
            encoded.resize(values.len() / dimension * row_bytes, 0);
            let rows = encoded.chunks_exact_mut(row_bytes);
            for (values, row) in values.chunks_exact(dimension).zip(rows) {
                self.shape.storage.encode(values, row);
            }
            self.vectors.append(&mut self.file, &encoded)?;
        }
        Ok(())
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u32 {
        self.ids.len() as u32
    }

    /// Bytes of memory held, and of what `finish` takes beside them (but for
    /// the training of the vector index). The caller begins another segment
    /// where this is over its budget.
    pub fn memory_bytes(&self) -> usize {
        let index = if self.shape.vector_type == VectorType::Dense {
            index_bytes_per_row(&self.shape)
        } else {
            0
        };
        self.ids.memory_bytes()
            + self.ids.len() * index
            + self.ids.len() * ORDER_BYTES_PER_ROW
            + self.vectors.memory_bytes()
            + self.sparse.memory_bytes()
            + self.metadata.memory_bytes()
            + self.index.memory_bytes()
            + self.text.memory_bytes()
    }

    /// Settles which rows are superseded, writes the rest of the file, and
    /// builds the vector index where there are rows enough. Vectors of up to
    /// `mapped_max` bytes in all are looked at where they lie while that is
    /// done, where the file can do that; others are read piece by piece. Once
    /// `watch` says stop the build ends with an error, within a second or so.
    pub fn finish(
        mut self,
        pool: &rayon::ThreadPool,
        mapped_max: u64,
        watch: &dyn BuildWatch,
    ) -> Result<BuiltSegment<S::File>, BuildError> {
        // Most of the file stands: the disk may work while the index is built.
        self.file.begin_sync()?;
        let rows = self.rows();
        let (order, superseded) = order_rows(&self.ids, pool);
        let facts =
            Facts { shape: self.shape, rows, live_rows: order.len() as u32, options: self.options };
        let dense = self.shape.vector_type == VectorType::Dense;
        let is_indexed = dense && facts.live_rows > self.options.exact_rows_max;
        let (vectors, blocks) = self.vectors.finish();
        let mapped =
            if is_indexed && vectors.length <= mapped_max { self.file.map()? } else { None };
        let mut out = FileWriter::after(self.file, dense.then_some(vectors));
        let columns = Columns {
            facts: &facts,
            blocks: dense.then_some(blocks),
            ids: self.ids,
            order,
            superseded: &superseded,
            sparse: self.sparse,
            metadata: self.metadata,
            index: self.index,
            text: self.text,
        };
        let build = |source: &dyn RowSource| {
            build_ivf(&facts.shape, facts.options.seed, source, &superseded, pool)
        };
        let ivf = if let Some(mapped) = mapped {
            let source = ScratchRows::new(&facts, watch, |offset: u64, out: &mut [u8]| {
                out.copy_from_slice(&(*mapped).as_ref()[offset as usize..][..out.len()]);
                Ok(())
            });
            let (written, ivf) = pool.join(|| columns.write(&mut out, pool), || build(&source));
            written?;
            Some(ivf?)
        } else {
            columns.write(&mut out, pool)?;
            let file = out.file();
            let source =
                ScratchRows::new(&facts, watch, |offset, out: &mut [u8]| file.read_at(offset, out));
            is_indexed.then(|| build(&source)).transpose()?
        };
        if let Some(ivf) = ivf {
            out.section(Kind::IvfCentroids, |out| out.put(&ivf.centroids))?;
            out.section(Kind::IvfPostings, |out| out.put(&ivf.postings))?;
            out.section(Kind::IvfTuning, |out| out.put(&ivf.tuning))?;
        }
        let (file, bytes, checksum) = out.finish()?;
        Ok(BuiltSegment { file, rows, live_rows: facts.live_rows, bytes, checksum })
    }

    fn check(&self, batch: &RecordBatch) -> Result<(), BuildError> {
        let count = batch.len();
        let wrong = |found: String, expected: String| Err(BuildError::Batch { found, expected });
        if count > (SEGMENT_ROWS_MAX - self.rows()) as usize {
            let found = format!("{count} records after {}", self.rows());
            return wrong(found, format!("at most {SEGMENT_ROWS_MAX} records in all"));
        }
        let values = count * self.shape.dimension as usize;
        if batch.values.len() != values {
            return wrong(format!("{} values", batch.values.len()), values.to_string());
        }
        let columns = [("sparse vectors", batch.sparse.len()), ("metadata", batch.metadata.len())];
        for (name, length) in columns {
            if length != 0 && length != count {
                return wrong(format!("{length} {name}"), format!("none or {count}"));
            }
        }
        if !self.shape.takes_sparse() && batch.sparse.iter().any(Option::is_some) {
            return wrong("a sparse vector".to_owned(), "none: the metric takes none".to_owned());
        }
        if let Some(error) = batch.ids.iter().find_map(|id| check_record_id(id).err()) {
            return wrong(error.to_string(), "checked ids".to_owned());
        }
        let numbers = batch.metadata.iter().flatten().flat_map(|metadata| metadata.0.values());
        let no_json =
            |value: &MetadataValue| matches!(value, MetadataValue::Number(n) if !n.is_finite());
        match numbers.into_iter().find(|value| no_json(value)) {
            Some(value) => wrong(format!("the metadata value {value:?}"), "finite ones".to_owned()),
            None => Ok(()),
        }
    }
}

/// All of a segment but its dense vectors and their index.
struct Columns<'a, F> {
    facts: &'a Facts,
    /// Checksums of the blocks of dense vectors.
    blocks: Option<Vec<u32>>,
    ids: StringColumn,
    order: Vec<u32>,
    superseded: &'a RoaringBitmap,
    sparse: SparseBuilder,
    metadata: MetadataColumn<F>,
    index: MetadataIndexBuilder,
    text: TextBuilder,
}

impl<F: ScratchFile> Columns<'_, F> {
    fn write(self, out: &mut FileWriter<F>, pool: &rayon::ThreadPool) -> Result<(), BuildError> {
        out.section(Kind::Facts, |out| out.put(&self.facts.to_bytes()))?;
        if let Some(blocks) = self.blocks {
            out.section(Kind::VectorBlocks, |out| out.put(bytemuck::cast_slice(&blocks)))?;
        }
        write_ids(out, &self.ids, &self.order, self.superseded)?;
        drop((self.ids, self.order));
        if !self.sparse.is_empty() {
            self.sparse.write(out, self.superseded, pool)?;
        }
        self.metadata.write(out)?;
        if !self.index.is_empty() {
            out.section(Kind::MetadataIndex, |out| self.index.write(out, pool))?;
        }
        let fields = self.text.fields().clone();
        if let Some(built) = self.text.finish(self.facts.rows)? {
            out.section(Kind::Text, |out| {
                write_section(built, &fields, &mut |bytes| out.put(bytes))
            })?;
        }
        Ok(())
    }
}

fn write_ids<F: ScratchFile>(
    out: &mut FileWriter<F>,
    ids: &StringColumn,
    order: &[u32],
    superseded: &RoaringBitmap,
) -> io::Result<()> {
    out.section(Kind::Ids, |out| ids.iter().try_for_each(|id| out.put(id.as_bytes())))?;
    out.section(Kind::IdOffsets, |out| {
        // 4 million ids of 512 bytes stay below 2^32.
        let mut end = 0_u32;
        out.put(&end.to_le_bytes())?;
        ids.iter().try_for_each(|id| {
            end += id.len() as u32;
            out.put(&end.to_le_bytes())
        })
    })?;
    out.section(Kind::IdOrder, |out| out.put(bytemuck::cast_slice(order)))?;
    let table = id_table::build(order, |row| ids.get(row as usize));
    out.section(Kind::IdTable, |out| out.put(bytemuck::cast_slice(&table)))?;
    out.section(Kind::Superseded, |out| {
        let mut bytes = Vec::with_capacity(superseded.serialized_size());
        superseded.serialize_into(&mut bytes)?;
        out.put(&bytes)
    })
}

/// The dense vectors where they stand in the scratch file; `read` fills bytes
/// from an offset.
struct ScratchRows<'a, R> {
    rows: u32,
    shape: IndexShape,
    watch: &'a dyn BuildWatch,
    read: R,
}

impl<'a, R> ScratchRows<'a, R> {
    fn new(facts: &Facts, watch: &'a dyn BuildWatch, read: R) -> Self {
        Self { rows: facts.rows, shape: facts.shape, watch, read }
    }
}

impl<R: Fn(u64, &mut [u8]) -> io::Result<()> + Sync> RowSource for ScratchRows<'_, R> {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn watch(&self) -> &dyn BuildWatch {
        self.watch
    }

    fn read(&self, first: u32, out: &mut [f32]) -> io::Result<()> {
        if self.watch.is_stopped() {
            return Err(stopped());
        }
        let row_bytes = self.shape.row_bytes();
        let offset = HEADER_BYTES as u64 + u64::from(first) * row_bytes as u64;
        if self.shape.storage == VectorStorage::F32 {
            return (self.read)(offset, bytemuck::cast_slice_mut(out));
        }
        let dimension = self.shape.dimension as usize;
        let mut encoded = vec![0; out.len() / dimension * row_bytes];
        (self.read)(offset, &mut encoded)?;
        let rows = encoded.chunks_exact(row_bytes);
        for (values, row) in out.chunks_exact_mut(dimension).zip(rows) {
            self.shape.storage.decode(row, values);
        }
        Ok(())
    }
}

/// Metadata text on its way through a scratch file of its own.
struct MetadataColumn<F> {
    file: F,
    buffer: Vec<u8>,
    /// Bytes of each row's text; 0 where it has none.
    lengths: Vec<u32>,
}

impl<F: ScratchFile> MetadataColumn<F> {
    fn new(file: F) -> Self {
        Self { file, buffer: Vec::new(), lengths: Vec::new() }
    }

    fn push(&mut self, json: Option<&str>) -> io::Result<()> {
        let json = json.unwrap_or_default();
        self.lengths.push(json.len() as u32);
        self.buffer.extend_from_slice(json.as_bytes());
        if self.buffer.len() >= COPY_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.buffer.capacity() + self.lengths.capacity() * size_of::<u32>()
    }

    /// Writes both sections, or none where no row has metadata.
    fn write(mut self, out: &mut FileWriter<F>) -> io::Result<()> {
        self.flush()?;
        let length = self.file.len();
        if length == 0 {
            return Ok(());
        }
        out.section(Kind::Metadata, |out| {
            let mut at = 0;
            while at < length {
                self.buffer.resize(COPY_BYTES.min((length - at) as usize), 0);
                self.file.read_at(at, &mut self.buffer)?;
                out.put(&self.buffer)?;
                at += self.buffer.len() as u64;
            }
            Ok::<_, io::Error>(())
        })?;
        out.section(Kind::MetadataOffsets, |out| {
            let mut end = 0_u64;
            out.put(&end.to_le_bytes())?;
            self.lengths.iter().try_for_each(|&length| {
                end += u64::from(length);
                out.put(&end.to_le_bytes())
            })
        })
    }
}
