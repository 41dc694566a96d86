//! Exports: start, list, describe, cancel.

use crossbill_core::NamespaceName;
use crossbill_core::limits::EXPORT_PAGE_MAX;
use crossbill_db::{ExportView, StartExport};
use crossbill_wire::{ExportModel, ExportPage, StartedExport, TokenError};

use crate::call::{Answer, Call, Reply};
use crate::pages::Listing;

/// `POST /bulk/exports`: answers at once; nothing is written yet.
pub(crate) fn start(call: &Call) -> Answer {
    let index = call.index()?;
    let request: crossbill_wire::StartExport = call.json()?;
    let namespace = request.namespace.as_deref().map(NamespaceName::new).transpose();
    let namespace = namespace.map_err(crossbill_core::Error::from)?;
    let id = index.start_export(StartExport {
        uri: request.uri,
        integration: request.integration_id.filter(|id| !id.is_empty()),
        namespace,
    })?;
    Reply::json(200, &StartedExport { id })
}

/// An export as the API shows it.
pub fn export_model(view: ExportView) -> ExportModel {
    ExportModel {
        id: view.id,
        uri: view.uri,
        namespace: view.namespace,
        status: view.status.as_str().to_owned(),
        created_at: view.created_at.to_string(),
        finished_at: view.finished_at.map(|at| at.to_string()),
        percent_complete: view.percent_complete,
        records_exported: view.records_exported,
        records_total: view.records_total,
        files_written: view.files_written,
        bytes_written: view.bytes_written,
        error: view.error,
    }
}

/// `GET /bulk/exports`, newest first.
pub(crate) fn list(call: &Call) -> Answer {
    let index = call.index()?;
    let listing = Listing::Exports { index: index.uid() };
    let most = call.limits().export_page;
    let page = call.page(listing, (most, EXPORT_PAGE_MAX.min(most)))?;
    let before = page.after.as_deref().map(|id| id.parse().map_err(|_| TokenError)).transpose()?;
    let (views, more) = index.list_exports(before, page.limit)?;
    let last = views.last().filter(|_| more).map(|view| view.id.clone());
    let answer = ExportPage {
        data: views.into_iter().map(export_model).collect(),
        pagination: last.map(|after| page.next(after)),
    };
    Reply::json(200, &answer)
}

/// `GET /bulk/exports/{id}`.
pub(crate) fn describe(call: &Call) -> Answer {
    let view = call.index()?.describe_export(call.param("id"))?;
    Reply::json(200, &export_model(view))
}

/// `DELETE /bulk/exports/{id}`.
pub(crate) fn cancel(call: &Call) -> Answer {
    call.index()?.cancel_export(call.param("id"))?;
    Reply::empty_object()
}
