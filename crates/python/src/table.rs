//! A table on its way into the database: written as one Parquet file below the
//! data directory's scratch, batch by batch, and removed when it is dropped.
//!
//! What is in it is not looked at; the import that reads it does that.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use crossbill_core::{IdSource as _, NamespaceName, RandomIds, limits};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::stream::{Batches, unreadable};

const FILE: &str = "table.parquet";

/// A table that was laid down. It goes when this does.
#[pyclass(frozen, module = "crossbill._native")]
pub(crate) struct Table {
    folder: Folder,
    rows: u64,
}

#[pymethods]
impl Table {
    /// What an import reads.
    #[getter]
    fn uri(&self) -> String {
        let bytes = self.folder.path.as_os_str().as_bytes();
        let escaped: String = bytes.iter().map(|byte| escaped(*byte)).collect();
        format!("file://{escaped}/")
    }

    /// Rows in it.
    #[getter]
    fn rows(&self) -> u64 {
        self.rows
    }

    /// Removes it now.
    fn remove(&self, py: Python<'_>) {
        py.detach(|| self.folder.clear());
    }
}

/// The folder of one table, for the process that made it.
struct Folder {
    path: PathBuf,
    process: u32,
}

impl Folder {
    /// Makes one below `tables`, with a folder `below` in it.
    fn new(tables: &Path, below: &Path) -> io::Result<Self> {
        let path = tables.join(RandomIds.next_id().to_string());
        fs::create_dir_all(path.join(below))?;
        Ok(Self { path: path.canonicalize()?, process: std::process::id() })
    }

    fn clear(&self) {
        if self.process == std::process::id() {
            // What stays is swept when the directory is opened again.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Writes all of `batches` into a folder of its own below `tables`.
pub(crate) fn write(
    py: Python<'_>,
    mut batches: Batches,
    tables: &Path,
    namespace: &str,
) -> PyResult<Table> {
    let below = folder_of(namespace)?;
    let folder = Folder::new(tables, &below).map_err(unwritten)?;
    let file = File::create_new(folder.path.join(below).join(FILE)).map_err(unwritten)?;
    let mut writer = ArrowWriter::try_new(file, batches.schema(), Some(properties()))
        .map_err(|error| PyValueError::new_err(format!("the table cannot be kept: {error}")))?;
    let mut rows = 0_u64;
    loop {
        let written = py.detach(|| -> PyResult<Option<usize>> {
            let Some(batch) = batches.next().transpose().map_err(unreadable)? else {
                return Ok(None);
            };
            write_batch(&mut writer, &batch)?;
            Ok(Some(batch.num_rows()))
        })?;
        py.check_signals()?;
        let Some(written) = written else { break };
        rows = rows.saturating_add(written as u64);
    }
    py.detach(|| writer.close()).map_err(unwritten)?;
    Ok(Table { folder, rows })
}

/// Writes a batch in slices, so that a large one takes no more memory than the
/// row group that it is written to.
fn write_batch(writer: &mut ArrowWriter<File>, batch: &RecordBatch) -> PyResult<()> {
    let mut start = 0;
    while start < batch.num_rows() {
        let rows = limits::TABLE_SLICE_ROWS.min(batch.num_rows() - start);
        let slice = batch.slice(start, rows);
        writer.write(&slice).map_err(unwritten)?;
        if writer.in_progress_size() >= limits::TABLE_ROW_GROUP_BYTES {
            writer.flush().map_err(unwritten)?;
        }
        start += rows;
    }
    Ok(())
}

/// What makes the file: it is read once, and soon.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build()
}

/// The folder that an import takes for `namespace`: the top for the default one.
fn folder_of(namespace: &str) -> PyResult<PathBuf> {
    let name =
        NamespaceName::new(namespace).map_err(|error| PyValueError::new_err(error.to_string()))?;
    if name.is_default() {
        return Ok(PathBuf::new());
    }
    let name = name.as_str();
    // What an import passes over, or a file system takes for something else.
    let fits = !name.starts_with(['.', '_']) && !name.contains('/');
    if !fits || name.len() > limits::TABLE_NAMESPACE_BYTES_MAX {
        return Err(PyValueError::new_err(format!(
            "a table cannot be imported into the namespace {name:?}, expected a name without \"/\", \
             without \".\" or \"_\" in front, of at most {} characters: upsert takes any",
            limits::TABLE_NAMESPACE_BYTES_MAX
        )));
    }
    Ok(PathBuf::from(name))
}

/// A byte of a path as it stands in a URI, patterns and escapes for themselves.
fn escaped(byte: u8) -> String {
    match byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    }
}

fn unwritten(error: impl std::fmt::Display) -> PyErr {
    PyOSError::new_err(format!("the table cannot be written: {error}"))
}
