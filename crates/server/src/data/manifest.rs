//! The completion manifest of an import.

use crossbill_core::limits::{MANIFEST_CHUNK_ENTRIES, MANIFEST_PAGE_DEFAULT};
use crossbill_db::{ErrorMode, ImportManifestPage, ManifestFile, ManifestPart, RejectCount};
use crossbill_wire::{
    ErrorModeField, ImportManifestModel, ImportSettingsModel, ManifestCounts, ManifestFileModel,
    ManifestPartModel, OnError, RejectCountModel,
};

use super::columns::columns_model;
use crate::call::{Answer, Call, Reply, check_limit};

/// `GET /bulk/imports/{id}/manifest` (ours), a page of its files and parts.
pub(crate) fn manifest(call: &Call) -> Answer {
    let index = call.index()?;
    let offset: u64 = call.query_number("offset")?.unwrap_or(0);
    let limit = call.query_number("limit")?.unwrap_or(MANIFEST_PAGE_DEFAULT);
    check_limit(limit, MANIFEST_CHUNK_ENTRIES)?;
    let page = index.import_manifest(call.param("id"), offset, limit)?;
    Reply::json(200, &manifest_model(page, offset))
}

/// A page of a manifest, from `offset` on, as the API shows it.
pub fn manifest_model(page: ImportManifestPage, offset: u64) -> ImportManifestModel {
    let ImportManifestPage { head, files, parts } = page;
    let next = offset.saturating_add((files.len() + parts.len()) as u64);
    let on_error = match head.options.error_mode {
        ErrorMode::Continue => OnError::Continue,
        ErrorMode::Abort => OnError::Abort,
    };
    let (columns, id_prefix) = columns_model(head.options.mapping);
    ImportManifestModel {
        program: head.program,
        index: head.index,
        id: head.id,
        status: head.status.as_str().to_owned(),
        created_at: head.created_at.to_string(),
        finished_at: head.finished_at.map(|at| at.to_string()),
        settings: ImportSettingsModel {
            uri: head.uri,
            integration_id: head.integration,
            error_mode: ErrorModeField {
                on_error: Some(on_error),
                max_errors: head.options.errors_max,
            },
            dry_run: head.options.dry_run,
            skip_loaded: head.options.skip_loaded,
            mode: head.options.mode.as_str().to_owned(),
            atomic: head.options.atomic,
            columns,
            id_prefix,
        },
        counts: ManifestCounts {
            total: head.rows_total,
            read: head.counts.read,
            imported: head.counts.imported,
            superseded: head.counts.superseded,
            rejected: head.counts.rejected,
        },
        error: head.error,
        warnings: head.warnings,
        rejects: head.rejects.into_iter().map(reject_count).collect(),
        files_total: head.files,
        parts_total: head.parts,
        files: files.into_iter().map(file_model).collect(),
        parts: parts.into_iter().map(part_model).collect(),
        next_offset: (next < head.files + head.parts).then_some(next),
    }
}

fn reject_count(count: RejectCount) -> RejectCountModel {
    RejectCountModel { code: count.code, records: count.records, files: count.files }
}

fn file_model(file: ManifestFile) -> ManifestFileModel {
    ManifestFileModel {
        path: file.path,
        location: file.location,
        namespace: file.namespace,
        etag: file.etag,
        bytes: file.bytes,
        rows: file.rows,
        rows_read: file.rows_read,
        state: file.state.as_str().to_owned(),
        code: file.code,
    }
}

fn part_model(part: ManifestPart) -> ManifestPartModel {
    ManifestPartModel {
        namespace: part.namespace,
        part: part.part,
        task: part.task,
        rows: part.rows,
        bytes: part.bytes,
        checksum: format!("{:08x}", part.checksum),
    }
}
