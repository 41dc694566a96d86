//! Namespaces: create, list, describe, delete.

use crossbill_core::NamespaceName;
use crossbill_db::{Index, Lsn, NamespaceInfo};
use crossbill_wire::{FieldNames, MetadataSchema, NamespaceModel, NamespacePage};

use super::records::{check_prefix, list_limits};
use crate::call::namespace;
use crate::dispatch::Shared;
use crate::error::ApiError;
use crate::pages::{AskedPage, Listing, PageRequest};

fn model(info: NamespaceInfo) -> NamespaceModel {
    let schema = info.filterable.as_deref().map(MetadataSchema::of);
    NamespaceModel {
        name: info.name,
        record_count: info.record_count,
        size_bytes: info.size_bytes,
        schema,
        indexed_fields: info.filterable.map(|fields| FieldNames { fields }),
    }
}

/// Makes a namespace.
pub(crate) fn create(
    index: &Index,
    name: &str,
    schema: Option<MetadataSchema>,
) -> Result<(NamespaceModel, Lsn), ApiError> {
    if name.is_empty() || name == NamespaceName::DEFAULT {
        return Err(ApiError::invalid(format!(
            "name is {name:?}, expected another name: the default namespace always exists"
        )));
    }
    let namespace = namespace(Some(name))?;
    let filterable = schema.map(MetadataSchema::into_names).transpose()?;
    let info = index.create_namespace(&namespace, filterable)?;
    let mut model = model(info);
    model.indexed_fields.get_or_insert_default();
    Ok((model, index.lsn()))
}

/// Namespaces in name order.
pub(crate) fn list(
    shared: &Shared,
    index: &Index,
    asked: AskedPage<'_>,
) -> Result<(NamespacePage, Lsn), ApiError> {
    let listing = Listing::Namespaces { index: index.uid() };
    check_prefix(shared, asked.prefix)?;
    let page = PageRequest::new(&shared.page_key, listing, asked, list_limits(shared))?;
    let lsn = index.lsn();
    let found = index.list_namespaces(&page.prefix, page.after.as_deref(), page.limit)?;
    let last = found.namespaces.last().filter(|_| found.more).map(|info| info.name.clone());
    let answer = NamespacePage {
        namespaces: found.namespaces.into_iter().map(model).collect(),
        pagination: last.map(|last| page.next(last)),
        total_count: found.total,
    };
    Ok((answer, lsn))
}

/// One namespace.
pub(crate) fn describe(index: &Index, name: &str) -> Result<(NamespaceModel, Lsn), ApiError> {
    let namespace = namespace(Some(name))?;
    let lsn = index.lsn();
    Ok((model(index.describe_namespace(&namespace)?), lsn))
}

/// Deletes a namespace and what is in it.
pub(crate) fn delete(index: &Index, name: &str) -> Result<Lsn, ApiError> {
    let namespace = namespace(Some(name))?;
    index.delete_namespace(&namespace)?;
    Ok(index.lsn())
}
