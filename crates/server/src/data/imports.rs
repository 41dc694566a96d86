//! Bulk imports: start, list, describe, cancel, and the rejected records.

use crossbill_core::RequestLimits;
use crossbill_core::limits::{IMPORT_PAGE_MAX, REJECTS_PAGE};
use crossbill_db::{
    ErrorMode, ImportMode, ImportOptions, ImportView, IndexInfo, Preview, PreviewColumn,
    PreviewRow, RecordText, Reject, StartImport,
};
use crossbill_wire::{
    FinishedImport, ImportFinished, ImportModel, ImportPage, ImportPreview, OnError, RejectModel,
    RejectPage, StartedImport, TokenError, ValidationResult,
};

use super::columns::column_mapping;
use crate::call::{Answer, Call, Reply, check_limit};
use crate::error::ApiError;
use crate::pages::Listing;

/// `POST /bulk/imports`: answers at once, and never touches the source.
pub(crate) fn start(call: &Call) -> Answer {
    let index = call.index()?;
    let request: crossbill_wire::StartImport = call.json()?;
    let id = index.start_import(StartImport {
        idempotency_key: call.header("idempotency-key").map(str::to_owned),
        caller: Some(call.caller()),
        ..import_start(request, call.limits())?
    })?;
    Reply::json(200, &StartedImport { id })
}

/// A request to start an import as the database takes it, from nobody yet.
pub fn import_start(
    request: crossbill_wire::StartImport,
    limits: &RequestLimits,
) -> crossbill_core::Result<StartImport> {
    request.check(limits)?;
    let options = ImportOptions {
        error_mode: match request.on_error() {
            OnError::Continue => ErrorMode::Continue,
            OnError::Abort => ErrorMode::Abort,
        },
        errors_max: request.max_errors(),
        dry_run: request.dry_run.unwrap_or_default(),
        skip_loaded: request.skip_loaded.unwrap_or_default(),
        mode: match request.mode.as_deref() {
            Some("replace") => ImportMode::Replace,
            _ => ImportMode::Upsert,
        },
        atomic: request.atomic.unwrap_or_default(),
        mapping: column_mapping(&request),
    };
    Ok(StartImport {
        uri: request.uri,
        integration: request.integration_id.filter(|id| !id.is_empty()),
        options,
        idempotency_key: None,
        caller: None,
    })
}

/// An import as the API shows it.
pub fn import_model(view: ImportView) -> ImportModel {
    let rejects_uri =
        (view.records_rejected > 0).then(|| format!("/bulk/imports/{}/rejects", view.id));
    ImportModel {
        validation_result: view.status.is_final().then_some(ValidationResult {
            import_successes: view.records_imported,
            import_errors: view.records_rejected,
        }),
        rejects_uri,
        id: view.id,
        uri: view.uri,
        status: view.status.as_str().to_owned(),
        created_at: view.created_at.to_string(),
        finished_at: view.finished_at.map(|at| at.to_string()),
        percent_complete: view.percent_complete,
        records_imported: view.records_imported,
        error: view.error,
        records_rejected: view.records_rejected,
        records_superseded: view.records_superseded,
        records_read: view.records_read,
        records_under_way: view.records_under_way,
        records_total: view.records_total,
        bytes_read: view.bytes_read,
        bytes_total: view.bytes_total,
        files_done: view.files_done,
        files_total: view.files_total,
        files_skipped: view.files_skipped,
        phase: view.phase,
        paused: view.is_paused,
        records_per_second: view.records_per_second,
        eta_seconds: view.eta_seconds,
        warnings: view.warnings,
        dry_run: view.options.dry_run,
        skip_loaded: view.options.skip_loaded,
        mode: (view.options.mode != ImportMode::Upsert)
            .then(|| view.options.mode.as_str().to_owned()),
        atomic: view.options.atomic,
        estimate: view.estimate.map(|estimate| crossbill_wire::ImportEstimate {
            seconds: estimate.seconds,
            disk_bytes: estimate.disk_bytes,
            disk_free_bytes: estimate.disk_free_bytes,
        }),
        max_errors: view.options.errors_max,
        webhook: view.webhook.map(|state| state.as_str().to_owned()),
        error_mode: match view.options.error_mode {
            ErrorMode::Abort => "abort".to_owned(),
            ErrorMode::Continue => "continue".to_owned(),
        },
    }
}

/// What a webhook is told of an import that has ended.
pub fn import_finished(index: &IndexInfo, view: ImportView) -> Vec<u8> {
    let message = ImportFinished {
        kind: "import.finished".to_owned(),
        timestamp: view.finished_at.map(|at| at.to_string()).unwrap_or_default(),
        data: FinishedImport {
            index: index.name.as_str().to_owned(),
            // How far the telling is says nothing to who is told.
            import: ImportModel { webhook: None, ..import_model(view) },
        },
    };
    serde_json::to_vec(&message).expect("a struct of text and numbers is always JSON")
}

/// `POST /bulk/imports/preview` (ours).
pub(crate) fn preview(call: &Call) -> Answer {
    let index = call.index()?;
    let request: crossbill_wire::PreviewImport = call.json()?;
    let start = import_start(request.into_start(), call.limits())?;
    let preview = index.preview_import(&start, &call.unwanted)?;
    let Preview { file, namespace, columns, rows, error } = preview;
    let column = |PreviewColumn { name, kind }| crossbill_wire::PreviewColumn { name, kind };
    Reply::json(
        200,
        &ImportPreview {
            file,
            namespace,
            columns: columns.into_iter().map(column).collect(),
            rows: rows.into_iter().map(preview_row).collect(),
            error,
        },
    )
}

fn preview_row(row: PreviewRow) -> crossbill_wire::PreviewRow {
    let PreviewRow { row, id, values, sparse_entries, metadata, reject } = row;
    let (code, message) = reject.unzip();
    crossbill_wire::PreviewRow { row, id, values, sparse_entries, metadata, code, message }
}

/// `GET /bulk/imports`, newest first.
pub(crate) fn list(call: &Call) -> Answer {
    let index = call.index()?;
    let listing = Listing::Imports { index: index.uid() };
    let most = call.limits().import_page;
    let page = call.page(listing, (most, IMPORT_PAGE_MAX.min(most)))?;
    let before = page.after.as_deref().map(|id| id.parse().map_err(|_| TokenError)).transpose()?;
    let (views, more) = index.list_imports(before, page.limit)?;
    let last = views.last().filter(|_| more).map(|view| view.id.clone());
    let answer = ImportPage {
        data: views.into_iter().map(import_model).collect(),
        pagination: last.map(|after| page.next(after)),
    };
    Reply::json(200, &answer)
}

/// `GET /bulk/imports/{id}`.
pub(crate) fn describe(call: &Call) -> Answer {
    let view = call.index()?.describe_import(call.param("id"))?;
    Reply::json(200, &import_model(view))
}

/// `DELETE /bulk/imports/{id}`.
pub(crate) fn cancel(call: &Call) -> Answer {
    call.index()?.cancel_import(call.param("id"))?;
    Reply::empty_object()
}

/// `POST /bulk/imports/{id}/pause` (ours).
pub(crate) fn pause(call: &Call) -> Answer {
    call.index()?.pause_import(call.param("id"))?;
    Reply::empty_object()
}

/// `POST /bulk/imports/{id}/resume` (ours).
pub(crate) fn resume(call: &Call) -> Answer {
    call.index()?.resume_import(call.param("id"))?;
    Reply::empty_object()
}

/// A rejected record as the API shows it.
pub fn reject_model(reject: Reject) -> RejectModel {
    RejectModel {
        file: reject.file,
        row_group: reject.row_group,
        row: reject.row,
        id: reject.id,
        code: reject.code,
        column: reject.column,
        message: reject.message,
        record: reject.record,
    }
}

/// `GET /bulk/imports/{id}/rejects`, in source order. With `records=whole` a
/// page may be shorter than asked: the next one begins behind what it holds.
pub(crate) fn rejects(call: &Call) -> Answer {
    let index = call.index()?;
    let offset: u64 = call.query_number("offset")?.unwrap_or(0);
    let limit = call.query_number("limit")?.unwrap_or(REJECTS_PAGE.1);
    check_limit(limit, REJECTS_PAGE.0)?;
    let text = match call.query("records") {
        None | Some("shown") => RecordText::Shown,
        Some("whole") => RecordText::Whole,
        Some(other) => {
            let message = format!("records is {other:?}, expected \"shown\" or \"whole\"");
            return Err(ApiError::invalid(message));
        }
    };
    let (rejects, total) = index.import_rejects(call.param("id"), offset, limit, text)?;
    Reply::json(200, &RejectPage { data: rejects.into_iter().map(reject_model).collect(), total })
}
