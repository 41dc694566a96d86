//! Namespaces: create, list, describe, delete.

use crossbill_core::NamespaceName;
use crossbill_core::limits::LIST_PAGE_MAX;
use crossbill_db::NamespaceInfo;
use crossbill_wire::{
    CreateNamespace, FieldNames, MetadataSchema, NamespaceModel, NamespacePage, PageToken,
};

use crate::call::{Answer, Call, Reply, namespace};
use crate::error::ApiError;

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

/// `POST /namespaces`.
pub(crate) fn create(call: &Call) -> Answer {
    let index = call.index()?;
    let request: CreateNamespace = call.json()?;
    if request.name.is_empty() || request.name == NamespaceName::DEFAULT {
        return Err(ApiError::invalid(format!(
            "name is {:?}, expected another name: the default namespace always exists",
            request.name
        )));
    }
    let namespace = namespace(Some(&request.name))?;
    let filterable = request.schema.map(MetadataSchema::into_names).transpose()?;
    let info = index.create_namespace(&namespace, filterable)?;
    let mut model = model(info);
    model.indexed_fields.get_or_insert_default();
    Ok(Reply::json(200, &model)?.wrote(index.lsn()))
}

/// `GET /namespaces`, in name order.
pub(crate) fn list(call: &Call) -> Answer {
    let index = call.index()?;
    let page = call.page(LIST_PAGE_MAX, LIST_PAGE_MAX)?;
    let lsn = index.lsn();
    let found = index.list_namespaces(&page.prefix, page.after.as_deref(), page.limit)?;
    let last = found.namespaces.last().filter(|_| found.more).map(|info| info.name.clone());
    let answer = NamespacePage {
        namespaces: found.namespaces.into_iter().map(model).collect(),
        pagination: last
            .map(|after| PageToken { prefix: page.prefix, limit: page.limit, after }.pagination()),
        total_count: found.total,
    };
    Ok(Reply::json(200, &answer)?.saw(lsn))
}

/// `GET /namespaces/{namespace}`.
pub(crate) fn describe(call: &Call) -> Answer {
    let index = call.index()?;
    let namespace = namespace(Some(call.param("namespace")))?;
    let lsn = index.lsn();
    let info = index.describe_namespace(&namespace)?;
    Ok(Reply::json(200, &model(info))?.saw(lsn))
}

/// `DELETE /namespaces/{namespace}`.
pub(crate) fn delete(call: &Call) -> Answer {
    let index = call.index()?;
    let namespace = namespace(Some(call.param("namespace")))?;
    index.delete_namespace(&namespace)?;
    Ok(Reply::empty_object()?.wrote(index.lsn()))
}
