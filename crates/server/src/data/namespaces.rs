//! Namespaces: create, list, describe, delete.

use crossbill_wire::CreateNamespace;

use crate::call::{Answer, Call, Reply};
use crate::verbs::namespaces;

/// `POST /namespaces`.
pub(crate) fn create(call: &Call) -> Answer {
    let index = call.index()?;
    let request: CreateNamespace = call.json()?;
    let (model, lsn) = namespaces::create(&index, &request.name, request.schema)?;
    Ok(Reply::json(200, &model)?.wrote(lsn))
}

/// `GET /namespaces`, in name order.
pub(crate) fn list(call: &Call) -> Answer {
    let index = call.index()?;
    let (page, lsn) = namespaces::list(&call.shared, &index, call.asked_page()?)?;
    Ok(Reply::json(200, &page)?.saw(lsn))
}

/// `GET /namespaces/{namespace}`.
pub(crate) fn describe(call: &Call) -> Answer {
    let index = call.index()?;
    let (model, lsn) = namespaces::describe(&index, call.param("namespace"))?;
    Ok(Reply::json(200, &model)?.saw(lsn))
}

/// `DELETE /namespaces/{namespace}`.
pub(crate) fn delete(call: &Call) -> Answer {
    let index = call.index()?;
    let lsn = namespaces::delete(&index, call.param("namespace"))?;
    Ok(Reply::empty_object()?.wrote(lsn))
}
