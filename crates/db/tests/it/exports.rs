//! Exports: what is written comes back the same by an import, the bytes depend
//! on the records alone, and what was cut off goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbill_core::{
    DocumentFields, ErrorKind, IndexShape, Metadata, MetadataValue, Metric, Record, SparseVector,
    TextField, TextOptions, TextSchema, VectorStorage,
};
use crossbill_db::{ErrorMode, ExportView, ImportStatus, Index, NewIndex, Selector, StartExport};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::fixtures::{
    Place, all_ids, by_vector, import, index, namespace, new_index, plane, record, write_line,
};

fn start(index: &Index, uri: &str, only: Option<&str>) -> crossbill_core::Result<String> {
    index.start_export(StartExport {
        uri: uri.to_owned(),
        integration: None,
        namespace: only.map(namespace),
    })
}

fn wait(index: &Index, id: &str) -> ExportView {
    let begun = Instant::now();
    loop {
        let view = index.describe_export(id).unwrap();
        if view.status.is_final() {
            return view;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{view:?}");
        std::thread::yield_now();
    }
}

fn export(index: &Index, uri: &str) -> ExportView {
    let id = start(index, uri, None).unwrap();
    wait(index, &id)
}

/// Every file below a directory by its path.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().display().to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// The files of records or documents among them.
fn tables(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(directory);
    files.retain(|name, _| name.ends_with(".parquet") || name.ends_with(".jsonl.zst"));
    files
}

fn all_records(index: &Index) -> BTreeMap<String, Vec<crossbill_db::StoredRecord>> {
    let stats = index.stats().unwrap();
    let read = |name: &String| {
        let ids = all_ids(index, name);
        (name.clone(), index.fetch(&namespace(name), &ids).unwrap())
    };
    stats.namespaces.keys().map(read).collect()
}

/// Metadata of every kind.
fn value() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        (-1e9_f64..1e9).prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        "\\PC{0,20}".prop_map(serde_json::Value::from),
        vec("[a-z\"]{0,5}", 0..3).prop_map(serde_json::Value::from),
    ]
}

/// Records of one shape, by namespace.
fn contents(shape: IndexShape) -> impl Strategy<Value = BTreeMap<String, Vec<Record>>> {
    let sparse = btree_map(any::<u32>(), 0.5_f32..2.0, 1..5).prop_map(|entries| {
        let (indices, values) = entries.into_iter().unzip();
        SparseVector::new(indices, values).unwrap()
    });
    let sparse = match (shape.takes_sparse(), shape.dimension) {
        (false, _) => Just(None).boxed(),
        (true, 0) if !shape.documents => sparse.prop_map(Some).boxed(),
        (true, _) => proptest::option::of(sparse).boxed(),
    };
    let metadata = btree_map("[a-z]{1,3}", value(), 0..4)
        .prop_map(|fields| Metadata::from_json(&serde_json::to_string(&fields).unwrap()).unwrap());
    let is_of_documents = shape.documents;
    let metadata = (metadata, "\\PC{0,40}", proptest::option::of(any::<String>())).prop_map(
        move |(mut metadata, title, body)| {
            if is_of_documents {
                let text = |text: String| MetadataValue::String(text);
                metadata.0.insert("title".to_owned(), text(title));
                metadata.0.extend(body.map(|body| ("body".to_owned(), text(body))));
            }
            metadata
        },
    );
    // A document without a vector is found by its texts.
    let metadata = match shape.documents {
        true => metadata.prop_map(Some).boxed(),
        false => proptest::option::of(metadata).boxed(),
    };
    let values = vec(0.1_f32..9.0, shape.dimension as usize);
    let record = ("[ -~]{1,12}", values, sparse, metadata)
        .prop_map(|(id, values, sparse, metadata)| Record { id, values, sparse, metadata });
    btree_map("(__default__|[a-z][ -.0-~]{0,9})", vec(record, 1..40), 1..4)
}

fn shapes() -> impl Strategy<Value = IndexShape> {
    let dense = |metric| IndexShape::dense(3, metric);
    prop_oneof![
        Just(dense(Metric::Cosine)),
        Just(dense(Metric::Euclidean).stored_as(VectorStorage::F16)),
        Just(dense(Metric::DotProduct)),
        Just(IndexShape::sparse()),
        Just(dense(Metric::Cosine).of_documents()),
        Just(dense(Metric::Euclidean).stored_as(VectorStorage::F16).of_documents()),
        Just(IndexShape::sparse().of_documents()),
    ]
}

/// What an index is made of: of these shapes, with texts where it is one of
/// documents.
fn designed(name: &str, shape: IndexShape) -> NewIndex {
    let field = |name: &str| TextField { name: name.into(), options: TextOptions::default() };
    let fields = DocumentFields {
        dense: (shape.dimension > 0).then(|| "the \"embedding\"".to_owned()),
        sparse: Some("terms".to_owned()),
    };
    match shape.documents {
        false => new_index(name, shape),
        true => NewIndex {
            documents: Some(fields),
            text: TextSchema::new([field("title"), field("body")]),
            ..new_index(name, shape)
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_import_of_an_export_answers_the_same(
        (shape, contents) in shapes().prop_flat_map(|shape| (Just(shape), contents(shape))),
        flushed in any::<bool>(),
    ) {
        let place = Place::new();
        let database = place.open();
        database.create_index(designed("a", shape)).unwrap();
        let index = database.index("a").unwrap();
        for (name, records) in &contents {
            for (number, record) in records.iter().enumerate() {
                index.upsert(&namespace(name), vec![record.clone()]).unwrap();
                if flushed && number % 7 == 3 {
                    index.flush(&namespace(name)).unwrap();
                }
            }
            let gone = records.first().unwrap().id.clone();
            index.delete(&namespace(name), Selector::Ids(vec![gone])).unwrap();
        }
        let kept = |records: &mut Vec<crossbill_db::StoredRecord>| !records.is_empty();
        let mut expected = all_records(&index);
        expected.retain(|_, records| kept(records));
        let out = place.source().join("out");
        let view = export(&index, &format!("file://{}", out.display()));
        let total: usize = expected.values().map(Vec::len).sum();
        prop_assert_eq!(view.status, ImportStatus::Completed, "{:?}", view);
        prop_assert_eq!(view.records_exported, total as u64);
        if total > 0 {
            database.create_index(designed("b", shape)).unwrap();
            let copy = database.index("b").unwrap();
            let imported = import(&copy, &format!("file://{}", out.display()), ErrorMode::Abort);
            prop_assert_eq!(imported.status, ImportStatus::Completed, "{:?}", imported);
            prop_assert_eq!(all_records(&copy), expected);
            // The copy's export has the same bytes, though its segments differ.
            let twice = place.source().join("twice");
            export(&copy, &format!("file://{}", twice.display()));
            prop_assert_eq!(tables(&twice), tables(&out));
        }
    }
}

#[test]
fn what_was_cut_off_goes_on_and_ends_the_same() {
    let place = Place::new();
    for name in ["a", "b", "c", "d", "e"] {
        write_line(&place.source().join(format!("{name}/1.parquet")), name, 500);
    }
    let uri = |name: &str| format!("file://{}", place.dir.path().join(name).display());
    let (whole, cut) = (uri("whole"), uri("cut"));
    let database = place.open();
    let first = index(&database, plane());
    import(&first, &place.uri(), ErrorMode::Abort);
    export(&first, &whole);
    drop((first, database));
    // No thread runs it: each open is as after a crash.
    let mut options = place.options();
    options.exports_at_once = 0;
    let database = crossbill_db::Database::open(options).unwrap();
    let id = start(&index(&database, plane()), &cut, None).unwrap();
    drop(database);
    let mut seen = 0;
    for _ in 0..20 {
        let database = place.open();
        let index = index(&database, plane());
        let view = index.describe_export(&id).unwrap();
        assert!(view.records_exported >= seen, "{view:?} after {seen}");
        seen = view.records_exported;
    }
    let database = place.open();
    let view = wait(&index(&database, plane()), &id);
    assert_eq!((view.status, view.records_exported), (ImportStatus::Completed, 2500), "{view:?}");
    let directory = |name: &str| place.dir.path().join(name);
    assert_eq!(tables(&directory("cut")), tables(&directory("whole")));
    let names: Vec<String> = files(&directory("cut")).into_keys().collect();
    assert!(names.contains(&"_crossbill-export.json".to_owned()), "{names:?}");
    assert!(names.iter().all(|name| !name.ends_with(".crossbill-part")), "{names:?}");
}

#[test]
fn an_export_needs_room_of_its_own_and_an_allowed_place() {
    let place = Place::new();
    let database = place.open();
    let index = index(&database, plane());
    index.upsert(&namespace("a/b"), vec![record("x", &[1.0, 2.0], "")]).unwrap();
    index.upsert(&namespace("plain"), vec![record("y", &[1.0, 2.0], "")]).unwrap();
    let uri = format!("file://{}/out", place.dir.path().display());
    let kind = |result: crossbill_core::Result<String>| result.unwrap_err().kind();
    assert_eq!(kind(start(&index, &uri, None)), ErrorKind::Invalid, "a/b is no directory");
    assert_eq!(kind(start(&index, &uri, Some("none"))), ErrorKind::NotFound);
    assert_eq!(kind(start(&index, "file:///etc/out", Some("plain"))), ErrorKind::Forbidden);
    let data = format!("file://{}/out", place.data().display());
    assert_eq!(kind(start(&index, &data, Some("plain"))), ErrorKind::Forbidden);
    let done = wait(&index, &start(&index, &uri, Some("plain")).unwrap());
    assert_eq!((done.status, done.records_exported), (ImportStatus::Completed, 1), "{done:?}");
    let refused = wait(&index, &start(&index, &uri, Some("plain")).unwrap());
    assert_eq!(refused.status, ImportStatus::Failed);
    assert!(refused.error.unwrap().contains("expected an empty or a new directory"));
    // One that has ended is not cancelled; ids of no export are unknown.
    index.cancel_export(&done.id).unwrap();
    assert_eq!(index.describe_export(&done.id).unwrap().status, ImportStatus::Completed);
    assert_eq!(index.describe_export("9").unwrap_err().kind(), ErrorKind::NotFound);
    let (page, more) = index.list_exports(None, 1).unwrap();
    assert_eq!((page.len(), page[0].id.as_str(), more), (1, "2", true));
}

#[test]
fn a_cancelled_export_writes_no_more() {
    let place = Place::new();
    let mut options = place.options();
    options.exports_at_once = 0;
    let database = crossbill_db::Database::open(options).unwrap();
    let index = index(&database, plane());
    index.upsert(&namespace(""), vec![record("x", &[1.0, 2.0], "")]).unwrap();
    let uri = format!("file://{}/out", place.dir.path().display());
    let id = start(&index, &uri, None).unwrap();
    index.cancel_export(&id).unwrap();
    assert_eq!(index.describe_export(&id).unwrap().status, ImportStatus::Cancelled);
    drop((index, database));
    let database = place.open();
    let index = database.index("a").unwrap();
    // Another export after it has run: so this one was passed over.
    let next = format!("file://{}/next", place.dir.path().display());
    wait(&index, &start(&index, &next, None).unwrap());
    assert_eq!(index.describe_export(&id).unwrap().status, ImportStatus::Cancelled);
    assert!(!place.dir.path().join("out").exists());
    assert_eq!(index.query(&namespace(""), &by_vector(&[1.0, 2.0], 1)).unwrap().matches.len(), 1);
}
