//! Databases in temporary directories, records, and Parquet files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use crossbill_core::{
    IndexName, IndexShape, Metadata, Metric, NamespaceName, RandomIds, Record, RequestLimits,
    SparseVector, SystemClock, TextSchema, limits,
};
use crossbill_db::{
    Database, DatabaseOptions, ErrorMode, FaultPlan, ImportOptions, ImportSettings, ImportStatus,
    ImportView, Index, NewIndex, Query, QueryBy, SourcePolicy, StartImport,
};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

/// A data directory and a directory that imports may read.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) faults: Option<Arc<FaultPlan>>,
    pub(crate) task_rows: u64,
    pub(crate) merge_rate: u64,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("source")).unwrap();
        Self { dir, faults: None, task_rows: 262_144, merge_rate: limits::MERGE_RATE_BYTES }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub(crate) fn uri(&self) -> String {
        format!("file://{}", self.source().display())
    }

    pub(crate) fn options(&self) -> DatabaseOptions {
        let source_policy = SourcePolicy {
            allow_dirs: vec![self.source()],
            retry_budget: Duration::from_secs(2),
            ..SourcePolicy::default()
        };
        let mut import = ImportSettings::new(2, 256 << 20);
        import.task_rows = self.task_rows;
        DatabaseOptions {
            data: self.data(),
            memory_bytes: 256 << 20,
            threads: 2,
            memtable_rows: limits::MEMTABLE_ROWS_MAX,
            resident_vectors_percent: 100,
            merges_at_once: 1,
            merge_rate: self.merge_rate,
            source_policy,
            import,
            imports_at_once: 1,
            export_dirs: vec![self.dir.path().to_owned()],
            export_uris: Vec::new(),
            exports_at_once: 1,
            run_schedules: false,
            webhook: None,
            limits: RequestLimits::default(),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(RandomIds),
            faults: self.faults.clone(),
            first_port: 5081,
        }
    }

    pub(crate) fn open(&self) -> Arc<Database> {
        Database::open(self.options()).unwrap()
    }
}

pub(crate) fn new_index(name: &str, shape: IndexShape) -> NewIndex {
    NewIndex {
        name: IndexName::new(name).unwrap(),
        shape,
        tags: BTreeMap::new(),
        documents: None,
        text: TextSchema::default(),
        deletion_protection: false,
        cloud: "aws".into(),
        region: "us-east-1".into(),
        spec_json: None,
    }
}

/// The index `a`, made where it is missing.
pub(crate) fn index(database: &Database, shape: IndexShape) -> Arc<Index> {
    if database.index("a").is_err() {
        database.create_index(new_index("a", shape)).unwrap();
    }
    database.index("a").unwrap()
}

pub(crate) fn plane() -> IndexShape {
    IndexShape::dense(2, Metric::Euclidean)
}

pub(crate) fn namespace(name: &str) -> NamespaceName {
    NamespaceName::new(name).unwrap()
}

pub(crate) fn record(id: &str, values: &[f32], metadata: &str) -> Record {
    Record {
        id: id.into(),
        values: values.to_vec(),
        sparse: None,
        metadata: (!metadata.is_empty()).then(|| Metadata::from_json(metadata).unwrap()),
    }
}

pub(crate) fn sparse(entries: &[(u32, f32)]) -> SparseVector {
    let (indices, values) = entries.iter().copied().unzip();
    SparseVector::new(indices, values).unwrap()
}

pub(crate) fn by_vector(values: &[f32], top_k: usize) -> Query {
    Query {
        by: QueryBy::Vector { dense: Some(values.to_vec()), sparse: None },
        top_k,
        filter: None,
        include_values: false,
        include_metadata: false,
        effort: None,
    }
}

/// Ids of the matches of a query.
pub(crate) fn ids(index: &Index, name: &str, query: &Query) -> Vec<String> {
    let answer = index.query(&namespace(name), query).unwrap();
    answer.matches.into_iter().map(|found| found.id).collect()
}

pub(crate) fn all_ids(index: &Index, name: &str) -> Vec<String> {
    let (ids, more) = index.list_ids(&namespace(name), "", None, 1_000_000).unwrap();
    assert!(!more);
    ids
}

/// One row of a Parquet file: id, vector, metadata.
pub(crate) type Row<'a> = (&'a str, Vec<f32>, Option<&'a str>);

pub(crate) fn write_parquet(path: &Path, rows: &[Row<'_>]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut ids = StringBuilder::new();
    let mut values = ListBuilder::new(Float32Builder::new());
    let mut metadata = StringBuilder::new();
    for (id, vector, json) in rows {
        ids.append_value(id);
        values.values().append_slice(vector);
        values.append(true);
        metadata.append_option(*json);
    }
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(ids.finish()) as ArrayRef),
        ("values", Arc::new(values.finish()) as ArrayRef),
        ("metadata", Arc::new(metadata.finish()) as ArrayRef),
    ])
    .unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    // Several row groups, so that an import has several tasks.
    for start in (0..batch.num_rows()).step_by(100) {
        writer.write(&batch.slice(start, (batch.num_rows() - start).min(100))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

/// `count` rows `<prefix>0…` at (number, 0).
pub(crate) fn line(prefix: &str, count: usize) -> Vec<(String, Vec<f32>)> {
    (0..count).map(|number| (format!("{prefix}{number:05}"), vec![number as f32, 0.0])).collect()
}

pub(crate) fn write_line(path: &Path, prefix: &str, count: usize) {
    let rows = line(prefix, count);
    let rows: Vec<Row<'_>> =
        rows.iter().map(|(id, values)| (id.as_str(), values.clone(), None)).collect();
    write_parquet(path, &rows);
}

pub(crate) fn start(index: &Index, uri: &str, error_mode: ErrorMode) -> String {
    start_with(index, uri, error_mode.into())
}

pub(crate) fn start_with(index: &Index, uri: &str, options: ImportOptions) -> String {
    let start = StartImport {
        uri: uri.into(),
        integration: None,
        options,
        idempotency_key: None,
        caller: None,
    };
    index.start_import(start).unwrap()
}

/// Waits for the end of an import; its percentage never goes back meanwhile.
pub(crate) fn wait(index: &Index, id: &str) -> ImportView {
    let begun = Instant::now();
    let mut percent = 0.0;
    loop {
        let view = index.describe_import(id).unwrap();
        assert!(view.percent_complete >= percent, "{view:?} after {percent} %");
        percent = view.percent_complete;
        if view.status.is_final() {
            let parts = view.records_imported + view.records_superseded + view.records_rejected;
            assert_eq!(view.records_read, parts, "{view:?}");
            assert_eq!(percent == 100.0, view.status == ImportStatus::Completed, "{view:?}");
            return view;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{view:?}");
        std::thread::yield_now();
    }
}

pub(crate) fn import(index: &Index, uri: &str, error_mode: ErrorMode) -> ImportView {
    let id = start(index, uri, error_mode);
    wait(index, &id)
}

/// An import of 18,000 records in many tasks, some of them committed.
pub(crate) struct LongImport {
    pub(crate) place: Place,
    pub(crate) database: Arc<Database>,
    pub(crate) index: Arc<Index>,
    pub(crate) id: String,
}

pub(crate) fn long_import() -> LongImport {
    let mut place = Place::new();
    place.task_rows = 100;
    for file in 0..60 {
        let path = place.source().join(format!("{file:02}.parquet"));
        write_line(&path, &format!("f{file:02}-"), 300);
    }
    let database = place.open();
    let index = index(&database, plane());
    let id = start(&index, &place.uri(), ErrorMode::Continue);
    while index.describe_import(&id).unwrap().records_imported == 0 {
        std::thread::yield_now();
    }
    LongImport { place, database, index, id }
}
