//! A table's rows as Python values, a few at a time: for upserts through a
//! server. In process a table is imported as it is and none of this runs.

use std::sync::{Mutex, PoisonError};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::DataType;
use crossbill_core::limits;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::stream::{Batches, unreadable};

/// An iterator over lists of rows, each a dictionary by column.
#[pyclass(frozen, module = "crossbill._native")]
pub(crate) struct Rows(Mutex<Rest>);

struct Rest {
    batches: Batches,
    batch: Option<RecordBatch>,
    next_row: usize,
}

#[pymethods]
impl Rows {
    /// Begins to read `table`.
    #[new]
    fn new(table: &Bound<'_, PyAny>) -> PyResult<Self> {
        let batches = Batches::of(table)?;
        Ok(Self(Mutex::new(Rest { batches, batch: None, next_row: 0 })))
    }

    /// The columns' names.
    fn columns(&self) -> Vec<String> {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rest.batches.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let slice = py.detach(|| {
            let mut rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            rest.slice()
        })?;
        slice.map(|slice| rows(py, &slice)).transpose()
    }
}

impl Rest {
    /// The next rows, as many as are given at once.
    fn slice(&mut self) -> PyResult<Option<RecordBatch>> {
        loop {
            if let Some(batch) =
                self.batch.as_ref().filter(|batch| batch.num_rows() > self.next_row)
            {
                let rows = limits::TABLE_SLICE_ROWS.min(batch.num_rows() - self.next_row);
                let slice = batch.slice(self.next_row, rows);
                self.next_row += rows;
                return Ok(Some(slice));
            }
            self.batch = self.batches.next().transpose().map_err(unreadable)?;
            self.next_row = 0;
            if self.batch.is_none() {
                return Ok(None);
            }
        }
    }
}

fn rows<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyList>> {
    let table = StructArray::from(batch.clone());
    let all = PyList::empty(py);
    for row in 0..batch.num_rows() {
        all.append(fields(py, &table, row)?)?;
    }
    Ok(all)
}

fn fields<'py>(py: Python<'py>, array: &StructArray, row: usize) -> PyResult<Bound<'py, PyDict>> {
    let made = PyDict::new(py);
    for (field, column) in array.fields().iter().zip(array.columns()) {
        made.set_item(field.name(), value(py, column.as_ref(), row)?)?;
    }
    Ok(made)
}

fn list<'py>(py: Python<'py>, array: &dyn Array) -> PyResult<Bound<'py, PyAny>> {
    let made = PyList::empty(py);
    for row in 0..array.len() {
        made.append(value(py, array, row)?)?;
    }
    Ok(made.into_any())
}

/// One value. Structs and maps are dictionaries, lists of any kind are lists.
fn value<'py>(py: Python<'py>, array: &dyn Array, row: usize) -> PyResult<Bound<'py, PyAny>> {
    if array.is_null(row) {
        return Ok(py.None().into_bound(py));
    }
    let number = |number: f64| PyFloat::new(py, number).into_any();
    let text = |text: &str| PyString::new(py, text).into_any();
    Ok(match array.data_type() {
        DataType::Null => py.None().into_bound(py),
        DataType::Boolean => PyBool::new(py, array.as_boolean().value(row)).to_owned().into_any(),
        DataType::Float16 => number(array.as_primitive::<Float16Type>().value(row).into()),
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => text(array.as_string_view().value(row)),
        DataType::Binary => PyBytes::new(py, array.as_binary::<i32>().value(row)).into_any(),
        DataType::LargeBinary => PyBytes::new(py, array.as_binary::<i64>().value(row)).into_any(),
        DataType::BinaryView => PyBytes::new(py, array.as_binary_view().value(row)).into_any(),
        DataType::List(_) => list(py, &array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(py, &array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(_, _) => list(py, &array.as_fixed_size_list().value(row))?,
        DataType::Struct(_) => fields(py, array.as_struct(), row)?.into_any(),
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let made = PyDict::new(py);
            for entry in 0..entries.len() {
                let key = value(py, entries.column(0).as_ref(), entry)?;
                made.set_item(key, value(py, entries.column(1).as_ref(), entry)?)?;
            }
            made.into_any()
        }
        DataType::Dictionary(_, _) => {
            let array = array.as_any_dictionary();
            let key = whole(array.keys(), row).and_then(|key| usize::try_from(key).ok());
            let values = array.values();
            match key.filter(|key| *key < values.len()) {
                Some(key) => value(py, values.as_ref(), key)?,
                None => return Err(unsupported(array.data_type())),
            }
        }
        other => match whole(array, row) {
            Some(whole) => PyInt::new(py, whole).into_any(),
            None => return Err(unsupported(other)),
        },
    })
}

/// A whole number of any width.
fn whole(array: &dyn Array, row: usize) -> Option<i128> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        _ => return None,
    })
}

fn unsupported(kind: &DataType) -> PyErr {
    PyValueError::new_err(format!(
        "a column is of type {kind}, expected numbers, strings, booleans, lists or structs"
    ))
}
