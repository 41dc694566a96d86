//! `crossbill imports manifest`: what an import that has ended read, with
//! what settings, and what came of it.

use crossbill_core::limits::MANIFEST_CHUNK_ENTRIES;
use crossbill_wire::ImportManifestModel;

use crate::client::Client;
use crate::commands::with_hint;
use crate::error::{Exit, Result};
use crate::output;
use crate::table::{Align, Table};
use crate::units::count;

/// Files that are shown to people.
const SHOWN: usize = 100;

/// Shows it; as JSON, with all its files and parts.
pub(crate) fn run(client: &dyn Client, index: &str, id: &str, json: bool) -> Result<Exit> {
    let page = |offset, limit| {
        client
            .import_manifest(index, id, offset, limit)
            .map_err(|error| with_hint(error, index, client))
    };
    if !json {
        show(&page(0, SHOWN)?);
        return Ok(Exit::Success);
    }
    let mut manifest = page(0, MANIFEST_CHUNK_ENTRIES)?;
    while let Some(offset) = manifest.next_offset {
        let more = page(offset, MANIFEST_CHUNK_ENTRIES)?;
        manifest.files.extend(more.files);
        manifest.parts.extend(more.parts);
        manifest.next_offset = more.next_offset;
    }
    output::document(&manifest);
    Ok(Exit::Success)
}

fn show(manifest: &ImportManifestModel) {
    let mut table = Table::new(&[("manifest", Align::Left), ("", Align::Left)]);
    let mut line = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
    line("import", format!("{} into {}", manifest.id, manifest.index));
    line("status", manifest.status.clone());
    line("written by", manifest.program.clone());
    line("created", manifest.created_at.clone());
    if let Some(finished) = &manifest.finished_at {
        line("finished", finished.clone());
    }
    line("settings", serde_json::to_string(&manifest.settings).unwrap_or_default());
    line("read", count(manifest.counts.read));
    line("imported", count(manifest.counts.imported));
    line("superseded", count(manifest.counts.superseded));
    line("rejected", count(manifest.counts.rejected));
    for reject in &manifest.rejects {
        let records = count(reject.records);
        line(&reject.code, format!("{records} records, {} files", count(reject.files)));
    }
    if let Some(error) = &manifest.error {
        line("error", error.clone());
    }
    line("files", count(manifest.files_total));
    line("parts", count(manifest.parts_total));
    output::line(&table.render(None));
    if manifest.files.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        ("file", Align::Left),
        ("state", Align::Left),
        ("rows read", Align::Right),
        ("rows", Align::Right),
        ("bytes", Align::Right),
        ("etag", Align::Left),
    ]);
    for file in &manifest.files {
        let state = match &file.code {
            Some(code) => format!("{}: {code}", file.state),
            None => file.state.clone(),
        };
        table.row(vec![
            file.path.clone(),
            state,
            count(file.rows_read),
            file.rows.map_or_else(|| "-".to_owned(), count),
            count(file.bytes),
            file.etag.clone(),
        ]);
    }
    output::line(&table.render(output::stdout_columns()));
    if manifest.next_offset.is_some() {
        output::note("--json shows all files, and the parts with their checksums");
    }
}
