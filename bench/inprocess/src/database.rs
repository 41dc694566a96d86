//! One open database of one index, and what is asked of it. Every call lets
//! go of Python's lock while it works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{
    Clock, Filter, IndexName, IndexShape, Metric, NamespaceName, RandomIds, RequestLimits,
    SystemClock, VectorStorage, limits,
};
use crossbill_db::{
    Database, DatabaseOptions, Effort, ErrorMode, ImportSettings, ImportStatus, Index, NewIndex,
    Query, QueryBy, SourcePolicy, StartImport,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The index of every database here.
const INDEX: &str = "bench";
/// Imports that the server runs at once: each gets its share of the memory.
const IMPORTS_AT_ONCE: usize = 2;
/// No port is opened.
const FIRST_PORT: u16 = 5081;
/// How often an import is asked whether it has ended.
const POLL: Duration = Duration::from_millis(2);

/// How an import ended.
#[pyclass(frozen, get_all)]
pub(crate) struct Import {
    /// Records that can be queried.
    records: u64,
    /// Records that were refused.
    rejected: u64,
}

/// The work that one query took.
#[pyclass(frozen, get_all)]
pub(crate) struct Stats {
    /// Cells read.
    cells: u32,
    /// Codes compared with the query.
    codes: u32,
    /// Rows scored exactly.
    reranked: u32,
    /// Segments searched.
    segments: u32,
}

/// An open database.
#[pyclass(frozen)]
pub(crate) struct Store {
    database: Arc<Database>,
    clock: Arc<SystemClock>,
}

#[pymethods]
impl Store {
    /// Opens the data directory, making it where it is missing. Memory is
    /// shared out as the server does. `resident_vectors` is the server's
    /// setting, in percent.
    #[new]
    #[pyo3(signature = (data, threads, memory_bytes, resident_vectors=None))]
    fn open(
        py: Python<'_>,
        data: PathBuf,
        threads: usize,
        memory_bytes: u64,
        resident_vectors: Option<u8>,
    ) -> PyResult<Self> {
        let clock = Arc::new(SystemClock::new());
        let policy =
            SourcePolicy { allow_dirs: vec![PathBuf::from("/")], ..SourcePolicy::default() };
        let options = DatabaseOptions {
            data: std::path::absolute(data).map_err(failed)?,
            memory_bytes,
            threads,
            memtable_rows: limits::MEMTABLE_ROWS_MAX,
            resident_vectors_percent: resident_vectors.unwrap_or(limits::RESIDENT_VECTORS_PERCENT),
            // None behind the back of what is measured.
            merges_at_once: 0,
            merge_rate: limits::MERGE_RATE_BYTES,
            source_policy: policy,
            import: ImportSettings::new(threads, memory_bytes / 2 / IMPORTS_AT_ONCE as u64),
            imports_at_once: IMPORTS_AT_ONCE,
            export_dirs: Vec::new(),
            export_uris: Vec::new(),
            exports_at_once: 1,
            run_schedules: false,
            webhook: None,
            limits: RequestLimits::default(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids: Arc::new(RandomIds),
            faults: None,
            first_port: FIRST_PORT,
        };
        let database = py.detach(|| Database::open(options)).map_err(failed)?;
        Ok(Self { database, clock })
    }

    /// Makes the index.
    #[pyo3(signature = (dimension, metric, storage="f32"))]
    fn create(&self, dimension: u32, metric: &str, storage: &str) -> PyResult<()> {
        let metric = Metric::parse(metric)
            .ok_or_else(|| failed(format!("found the metric {metric:?}, expected a known one")))?;
        let storage = VectorStorage::parse(storage).ok_or_else(|| {
            failed(format!("found the storage {storage:?}, expected a known one"))
        })?;
        let new = NewIndex {
            name: IndexName::new(INDEX).map_err(failed)?,
            shape: IndexShape::dense(dimension, metric).stored_as(storage),
            text: Default::default(),
            tags: Default::default(),
            documents: None,
            deletion_protection: false,
            cloud: String::new(),
            region: String::new(),
            spec_json: None,
        };
        self.database.create_index(new).map_err(failed)?;
        Ok(())
    }

    /// Imports what is at the URI and waits until every record can be
    /// queried.
    fn import_from(&self, py: Python<'_>, uri: String) -> PyResult<Import> {
        py.detach(|| self.import_all(uri))
    }

    /// The ids of the nearest records, nearest first. `recall` or `probes`
    /// say how hard to look; without either the index's default counts.
    #[pyo3(signature = (query, k, recall=None, probes=None, filter=None))]
    fn search(
        &self,
        py: Python<'_>,
        query: &[u8],
        k: usize,
        recall: Option<f32>,
        probes: Option<u32>,
        filter: Option<&str>,
    ) -> PyResult<Vec<u64>> {
        let query = query_of(query, k, effort(recall, probes), filter)?;
        py.detach(|| {
            let answer = self.index()?.query(&namespace(), &query).map_err(failed)?;
            answer.matches.iter().map(|found| found.id.parse().map_err(failed)).collect()
        })
    }

    /// The work that a query takes.
    #[pyo3(signature = (query, k, recall=None, probes=None, filter=None))]
    fn stats(
        &self,
        py: Python<'_>,
        query: &[u8],
        k: usize,
        recall: Option<f32>,
        probes: Option<u32>,
        filter: Option<&str>,
    ) -> PyResult<Stats> {
        let query = query_of(query, k, effort(recall, probes), filter)?;
        let answer = py.detach(|| self.index()?.query(&namespace(), &query).map_err(failed))?;
        let stats = answer.stats;
        Ok(Stats {
            cells: stats.cells_probed,
            codes: stats.codes_scanned,
            reranked: stats.reranked,
            segments: stats.segments,
        })
    }

    /// Ends background work; the database takes no calls after it.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.database.shutdown());
    }
}

impl Store {
    fn index(&self) -> PyResult<Arc<Index>> {
        self.database.index(INDEX).map_err(failed)
    }

    fn import_all(&self, uri: String) -> PyResult<Import> {
        let index = self.index()?;
        let start = StartImport {
            uri,
            integration: None,
            options: ErrorMode::Abort.into(),
            idempotency_key: None,
            caller: None,
        };
        let id = index.start_import(start).map_err(failed)?;
        loop {
            let view = index.describe_import(&id).map_err(failed)?;
            match view.status {
                ImportStatus::Completed => {
                    let (records, rejected) = (view.records_imported, view.records_rejected);
                    return Ok(Import { records, rejected });
                }
                status if status.is_final() => {
                    let reason = view.error.unwrap_or_default();
                    return Err(failed(format!("the import is {}: {reason}", status.as_str())));
                }
                _ => self.clock.sleep(POLL),
            }
        }
    }
}

fn namespace() -> NamespaceName {
    NamespaceName::default_namespace()
}

fn effort(recall: Option<f32>, probes: Option<u32>) -> Option<Effort> {
    probes.map(Effort::Probes).or(recall.map(Effort::Recall))
}

/// The vector comes as the bytes of its floats: the stable ABI of Python 3.10
/// has no buffers.
fn query_of(
    vector: &[u8],
    top_k: usize,
    effort: Option<Effort>,
    filter: Option<&str>,
) -> PyResult<Query> {
    let (floats, rest) = vector.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(failed(format!("found a vector of {} bytes, expected floats", vector.len())));
    }
    let dense = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Query {
        by: QueryBy::Vector { dense: Some(dense), sparse: None },
        top_k,
        filter: filter.map(Filter::from_json).transpose().map_err(failed)?,
        include_values: false,
        include_metadata: false,
        effort,
    })
}

fn failed(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
