//! A decoded Arrow batch as rows of the schema, for the formats that decode
//! to Arrow.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch as ArrowBatch, StructArray};
use arrow_schema::{Field, Fields};

use super::RowBatch;
use super::columns::{DenseColumn, IdColumn, MetadataColumn, SparseColumn};
use crate::SourceFile;
use crate::columns::{Column, ColumnNames, Columns, MetadataSource};

/// What all batches of a file share.
pub(super) struct Converter {
    file: Arc<SourceFile>,
    columns: Columns,
    names: Arc<ColumnNames>,
    /// What ids begin with where they are made.
    prefix: Option<Arc<str>>,
}

impl Converter {
    pub(super) fn new(file: &SourceFile, columns: Columns, prefix: Option<String>) -> Self {
        let names = Arc::new(columns.names());
        Self { file: Arc::new(file.clone()), columns, names, prefix: prefix.map(Arc::from) }
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The rows of `batch`, not placed yet.
    pub(super) fn convert(&self, batch: &ArrowBatch) -> Result<RowBatch, String> {
        let part = |column: &Option<Column>| column.as_ref().map(|column| find(batch, column));
        let ids = match (part(&self.columns.id).transpose()?, &self.prefix) {
            (Some(array), _) => IdColumn::new(array),
            (None, Some(prefix)) => IdColumn::numbered(prefix),
            (None, None) => return Err("it has no ids".to_owned()),
        };
        let values = part(&self.columns.values).transpose()?.map(DenseColumn::new).transpose()?;
        let sparse = part(&self.columns.sparse).transpose()?.map(SparseColumn::new).transpose()?;
        let metadata = match &self.columns.metadata {
            MetadataSource::Absent | MetadataSource::Others => None,
            MetadataSource::Column(column) => MetadataColumn::new(find(batch, column)?)?,
            MetadataSource::Fields(columns) => MetadataColumn::new(&fields(batch, columns)?)?,
        };
        Ok(RowBatch {
            file: Arc::clone(&self.file),
            names: Arc::clone(&self.names),
            row_group: None,
            first_row: 0,
            rows: batch.num_rows(),
            packed_bytes: 0,
            ids,
            values,
            sparse,
            metadata,
            lines: None,
            faults: Vec::new(),
        })
    }
}

fn find<'a>(batch: &'a ArrowBatch, column: &Column) -> Result<&'a ArrayRef, String> {
    let found = batch.column_by_name(&column.name);
    found.ok_or_else(|| format!("its column {:?} is missing", column.name))
}

/// Plain columns as one struct.
fn fields(batch: &ArrowBatch, columns: &[Column]) -> Result<ArrayRef, String> {
    let arrays: Result<Vec<ArrayRef>, String> =
        columns.iter().map(|column| find(batch, column).cloned()).collect();
    let arrays = arrays?;
    let fields: Fields = columns
        .iter()
        .zip(&arrays)
        .map(|(column, array)| Field::new(&column.name, array.data_type().clone(), true))
        .collect();
    let made = StructArray::try_new(fields, arrays, None).map_err(|error| error.to_string())?;
    Ok(Arc::new(made))
}
