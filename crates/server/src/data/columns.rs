//! The mapping of columns that an import's start asks for, in the database's
//! words.

use crossbill_db::{ColumnMapping, MetadataMapping};
use crossbill_wire::{ColumnsField, MetadataField, StartImport};

/// A mapping as a start asks for it: `columns` where any is named, and
/// `idPrefix`.
pub(crate) fn columns_model(mapping: ColumnMapping) -> (Option<ColumnsField>, Option<String>) {
    let ColumnMapping { id, values, sparse_values, metadata, id_prefix } = mapping;
    let metadata = metadata.and_then(|metadata| match metadata {
        MetadataMapping::Column(name) => Some(MetadataField::Column(name)),
        MetadataMapping::Fields(names) => Some(MetadataField::Fields(names)),
        // Follows from the index, no request says it.
        MetadataMapping::Others { .. } => None,
    });
    let columns = ColumnsField { id, values, sparse_values, metadata };
    ((columns != ColumnsField::default()).then_some(columns), id_prefix)
}

/// Which columns hold what, by `start`.
pub(crate) fn column_mapping(start: &StartImport) -> ColumnMapping {
    let columns = start.columns.clone().unwrap_or_default();
    ColumnMapping {
        id: columns.id,
        values: columns.values,
        sparse_values: columns.sparse_values,
        metadata: columns.metadata.map(|metadata| match metadata {
            MetadataField::Column(name) => MetadataMapping::Column(name),
            MetadataField::Fields(names) => MetadataMapping::Fields(names),
        }),
        id_prefix: start.id_prefix.clone(),
    }
}
