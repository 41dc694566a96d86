//! The mapping of columns that an import's start asks for, in the database's
//! words.

use crossbill_db::{ColumnMapping, MetadataMapping};
use crossbill_wire::{MetadataField, StartImport};

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
