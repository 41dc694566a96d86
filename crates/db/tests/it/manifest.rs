//! The completion manifest of an import: an audit of it against the source
//! files, the rejects and the stored parts, however the import ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbill_core::ErrorKind;
use crossbill_db::{
    Database, DatabaseOptions, ErrorMode, FileState, ImportManifest, ImportManifestPage,
    ImportOptions, ImportStatus, Index, ManifestFile, RecordText,
};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use crate::fixtures::{
    LongImport, Place, import, index, line, long_import, plane, start_with, wait, write_line,
    write_parquet,
};

/// Without merges: the parts stay as they were when the import ended.
fn open(place: &Place) -> Arc<Database> {
    Database::open(DatabaseOptions { merges_at_once: 0, ..place.options() }).unwrap()
}

/// All pages of a manifest.
fn manifest(index: &Index, id: &str, limit: usize) -> ImportManifestPage {
    let mut whole = index.import_manifest(id, 0, limit).unwrap();
    loop {
        let seen = (whole.files.len() + whole.parts.len()) as u64;
        if seen == whole.head.files + whole.head.parts {
            return whole;
        }
        let page = index.import_manifest(id, seen, limit).unwrap();
        assert!(page.files.len() + page.parts.len() > 0, "a page behind {seen} is empty");
        assert_eq!(page.head, whole.head);
        whole.files.extend(page.files);
        whole.parts.extend(page.parts);
    }
}

/// Recomputes everything that the manifest of an import says.
fn audit(place: &Place, index: &Index, id: &str) -> ImportManifestPage {
    let view = index.describe_import(id).unwrap();
    let found = manifest(index, id, 7);
    assert_eq!(found, manifest(index, id, 1000), "whatever the page");
    let ImportManifest { counts, rejects, .. } = &found.head;
    let told = (view.records_read, view.records_imported, view.records_superseded);
    assert_eq!((counts.read, counts.imported, counts.superseded), told);
    assert_eq!((counts.rejected, found.head.status), (view.records_rejected, view.status));
    assert_eq!((&found.head.uri, &found.head.options), (&view.uri, &view.options));
    assert_eq!((&found.head.error, &found.head.warnings), (&view.error, &view.warnings));
    assert_eq!(found.head.finished_at, view.finished_at);
    // Rejects by code.
    let (entries, total) = index.import_rejects(id, 0, 1_000_000, RecordText::Shown).unwrap();
    assert_eq!(entries.len() as u64, total);
    let mut codes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for reject in &entries {
        let counts = codes.entry(reject.code.clone()).or_default();
        *(if reject.row.is_some() { &mut counts.0 } else { &mut counts.1 }) += 1;
    }
    let listed = rejects.iter().map(|one| (one.code.clone(), (one.records, one.files)));
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), codes);
    // Sizes and rows of the files.
    for file in &found.files {
        let path = place.source().join(&file.path);
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert_eq!(file.bytes, bytes, "{}", file.path);
        if let Some(rows) = file.rows {
            let footer = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
            assert_eq!(rows as i64, footer.metadata().file_metadata().num_rows());
        }
    }
    let rows: u64 = found.files.iter().map(|file| file.rows_read).sum();
    let reject_of_abort = u64::from(view.options.error_mode == ErrorMode::Abort && total > 0);
    assert_eq!(rows + reject_of_abort, counts.read);
    // What was committed is stored as the manifest says.
    let parts = place.data().join("indexes").join(&index.info().uid).join("parts");
    for part in &found.parts {
        let bytes = std::fs::read(parts.join(format!("{}.seg", part.part))).unwrap();
        assert_eq!(bytes.len() as u64, part.bytes);
        assert_eq!(checksum(&bytes), part.checksum, "{}", part.part);
    }
    if !view.options.dry_run {
        let rows: u64 = found.parts.iter().map(|part| u64::from(part.rows)).sum();
        assert_eq!(rows, counts.imported + counts.superseded);
    }
    found
}

/// The checksum of a segment as docs/format.md defines it.
fn checksum(segment: &[u8]) -> u32 {
    let (rest, tail) = segment.split_at(segment.len() - 32);
    let table = u64::from_le_bytes(tail[..8].try_into().unwrap()) as usize;
    let sum = crc32c::crc32c_append(crc32c::crc32c(&rest[..64]), &rest[table..]);
    crc32c::crc32c_append(sum, &tail[..20])
}

fn states(files: &[ManifestFile]) -> Vec<(&str, FileState, Option<&str>)> {
    files.iter().map(|file| (file.path.as_str(), file.state, file.code.as_deref())).collect()
}

#[test]
fn an_audit_of_a_completed_import_finds_what_it_says() {
    let mut place = Place::new();
    place.task_rows = 100;
    let file = |name: &str| place.source().join(name);
    write_line(&file("a/1.parquet"), "x", 250);
    write_line(&file("a/2.parquet"), "x", 60);
    let mut rows = line("b", 150);
    rows[7].1 = vec![1.0];
    rows[120].0 = String::new();
    let rows: Vec<_> = rows.iter().map(|(id, at)| (id.as_str(), at.clone(), None)).collect();
    write_parquet(&file("b/1.parquet"), &rows);
    std::fs::write(file("b/2.parquet"), b"this is no Parquet at all").unwrap();
    write_line(&file("caf\u{e9}/1.parquet"), "c", 3);
    let database = open(&place);
    let index = index(&database, plane());
    let view = import(&index, &place.uri(), ErrorMode::Continue);
    assert_eq!((view.status, view.records_imported), (ImportStatus::Completed, 398));
    let found = audit(&place, &index, &view.id);
    use FileState::{Broken, Read, Skipped};
    let expected = [
        ("a/1.parquet", Read, None),
        ("a/2.parquet", Read, None),
        ("b/1.parquet", Read, None),
        ("b/2.parquet", Broken, Some("E_FILE_NOT_PARQUET")),
        ("caf\u{e9}/1.parquet", Broken, Some("E_FILE_NAMESPACE")),
    ];
    assert_eq!(states(&found.files), expected);
    assert!(found.files.iter().all(|file| !file.etag.is_empty() && !file.location.is_empty()));
    assert!(found.head.program.starts_with("crossbill "));
    // A dry run with what is new: the others are passed over.
    write_line(&file("a/3.parquet"), "z", 5);
    let dry = ImportOptions { dry_run: true, skip_loaded: true, ..ErrorMode::Continue.into() };
    let view = wait(&index, &start_with(&index, &place.uri(), dry));
    let later = audit(&place, &index, &view.id);
    assert_eq!(later.parts, []);
    let skipped = later.files.iter().filter(|file| file.state == Skipped);
    let skipped: Vec<&str> = skipped.map(|file| file.path.as_str()).collect();
    assert_eq!(skipped, ["a/1.parquet", "a/2.parquet", "b/1.parquet"]);
    // The same after a restart.
    drop((index, database));
    let database = open(&place);
    let index = database.index("a").unwrap();
    assert_eq!(manifest(&index, "1", 1000), found);
    assert_eq!(manifest(&index, &view.id, 1000), later);
}

#[test]
fn one_that_failed_says_how_far_it_came() {
    let mut place = Place::new();
    place.task_rows = 100;
    let file = |name: &str| place.source().join(name);
    write_line(&file("1.parquet"), "x", 150);
    let mut rows = line("y", 300);
    rows[230].1 = vec![1.0];
    let rows: Vec<_> = rows.iter().map(|(id, at)| (id.as_str(), at.clone(), None)).collect();
    write_parquet(&file("2.parquet"), &rows);
    write_line(&file("3.parquet"), "z", 150);
    let database = open(&place);
    let index = index(&database, plane());
    let view = import(&index, &place.uri(), ErrorMode::Abort);
    assert_eq!(view.status, ImportStatus::Failed);
    let found = audit(&place, &index, &view.id);
    use FileState::{Partial, Read, Unread};
    let expected =
        [("1.parquet", Read, None), ("2.parquet", Partial, None), ("3.parquet", Unread, None)];
    assert_eq!(states(&found.files), expected);
    // One that never had a plan.
    let nothing = import(&index, &format!("{}/nothing", place.uri()), ErrorMode::Continue);
    assert_eq!(nothing.status, ImportStatus::Failed);
    let found = index.import_manifest(&nothing.id, 0, 10).unwrap();
    assert_eq!((found.head.files, found.head.error), (0, nothing.error));
    index.cancel_import(&nothing.id).unwrap();
    let found = index.import_manifest(&nothing.id, 0, 10).unwrap();
    assert_eq!((found.head.status, found.head.error), (ImportStatus::Cancelled, None));
}

#[test]
fn one_that_was_cancelled_has_its_manifest_at_once() {
    let LongImport { place, database, index, id } = long_import();
    let error = index.import_manifest(&id, 0, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    index.cancel_import(&id).unwrap();
    assert_eq!(index.describe_import(&id).unwrap().status, ImportStatus::Cancelled);
    let found = audit(&place, &index, &id);
    assert_eq!(found.files.len(), 60);
    assert!(found.files.iter().any(|file| file.rows_read > 0));
    assert!(found.files.iter().any(|file| file.state == FileState::Unread));
    drop((index, database));
    let database = open(&place);
    let index = database.index("a").unwrap();
    assert_eq!(manifest(&index, &id, 1000), found);
}
