//! Record batches from Python: whatever has `__arrow_c_stream__` hands over a
//! stream through the Arrow C stream interface. Nothing is copied, and no
//! library has to be installed for it.
//!
//! The only module here with `unsafe`: the interface is a C structure that
//! changes hands by a pointer.

use arrow_array::RecordBatch;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// The name that such a capsule has by the interface's specification.
const NAME: &std::ffi::CStr = c"arrow_array_stream";

/// Record batches, one after another.
pub(crate) struct Batches(RecordBatchStreamReader);

impl Batches {
    /// Begins to read `table`.
    pub(crate) fn of(table: &Bound<'_, PyAny>) -> PyResult<Self> {
        let capsule = table.call_method0("__arrow_c_stream__")?;
        let capsule = capsule.cast::<PyCapsule>().map_err(|_| {
            PyTypeError::new_err("__arrow_c_stream__ gave something else than a capsule")
        })?;
        let pointer = capsule.pointer_checked(Some(NAME))?.cast::<FFI_ArrowArrayStream>();
        // SAFETY: the capsule's name was checked, so by the interface it holds a
        // valid stream. `from_raw` moves it out and leaves a released one, which
        // the capsule's destructor passes over.
        #[allow(unsafe_code, reason = "the Arrow C stream interface hands over a pointer")]
        let reader = unsafe { RecordBatchStreamReader::from_raw(pointer.as_ptr()) };
        Ok(Self(reader.map_err(unreadable)?))
    }

    /// What the batches' columns are.
    pub(crate) fn schema(&self) -> SchemaRef {
        arrow_array::RecordBatchReader::schema(&self.0)
    }

    /// The next batch.
    pub(crate) fn next(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        self.0.next()
    }
}

/// The error of a table that cannot be read to its end.
pub(crate) fn unreadable(error: ArrowError) -> PyErr {
    PyValueError::new_err(format!("the table cannot be read: {error}"))
}
