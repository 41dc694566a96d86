//! Full-text search in process, to be measured from a script: imports a file of
//! JSON lines into an index of documents, then answers queries as often as it is
//! told to on standard input, one after another on one thread.
//!
//! `text_search DOCUMENTS QUERIES TOP_K`: lines of `{"_id", "body"}`, and a JSON
//! list of lists of words. Each line out is a JSON object. Lines in: `run` for
//! the nanoseconds of each query and of processor time in all, `answers` for
//! ids.
// A measuring tool reads the clock by itself.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbill_core::{
    DocumentFields, IndexName, IndexShape, NamespaceName, RandomIds, RequestLimits, SystemClock,
    TextClause, TextField, TextOptions, TextSchema, limits,
};
use crossbill_db::{
    Database, DatabaseOptions, ErrorMode, ImportSettings, ImportStatus, Index, NewIndex, Query,
    QueryBy, SourcePolicy, StartImport,
};

/// Memory of the database and of the import.
const MEMORY_BYTES: u64 = 1 << 30;
const FIELD: &str = "body";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, documents, queries, top_k] = &arguments[..] else {
        return Err("usage: text_search DOCUMENTS QUERIES TOP_K".into());
    };
    let documents = Path::new(documents).canonicalize()?;
    let words: Vec<Vec<String>> = serde_json::from_str(&std::fs::read_to_string(queries)?)?;
    let top_k = top_k.parse()?;
    let queries: Vec<Query> = words.iter().map(|words| query(words, top_k)).collect();
    // Beside the documents, so that it stands on the same disk.
    let beside = documents.parent().ok_or("the file stands in no directory")?;
    let place = tempfile::tempdir_in(beside)?;
    let database = open(place.path(), beside)?;
    let index = create(&database)?;
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    import(&index, &documents)?;
    let (built, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let mut out = io::stdout().lock();
    writeln!(
        out,
        r#"{{"version": "{}", "build_s": {built}, "build_cpu_s": {cpu}, "bytes": {}}}"#,
        env!("CARGO_PKG_VERSION"),
        bytes_below(place.path())?
    )?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "run" => {
                let cpu = cpu_nanoseconds()?;
                let times = queries.iter().map(|query| {
                    let start = Instant::now();
                    let found = index.query(&NamespaceName::default_namespace(), query);
                    let nanoseconds = start.elapsed().as_nanos();
                    std::hint::black_box(found).map(|_| nanoseconds.to_string())
                });
                let times: Vec<String> = times.collect::<Result<_, _>>()?;
                let cpu = cpu_nanoseconds()?.saturating_sub(cpu);
                writeln!(out, r#"{{"cpu_ns": {cpu}, "ns": [{}]}}"#, times.join(","))?;
            }
            _ => {
                let answers = queries.iter().map(|query| {
                    let answer = index.query(&NamespaceName::default_namespace(), query)?;
                    let ids: Vec<String> =
                        answer.matches.into_iter().map(|found| found.id).collect();
                    Ok(format!("[{}]", ids.join(",")))
                });
                let answers: Vec<String> = answers.collect::<crossbill_core::Result<_>>()?;
                writeln!(out, r#"{{"answers": [{}]}}"#, answers.join(","))?;
            }
        }
        out.flush()?;
    }
    Ok(())
}

fn query(words: &[String], top_k: usize) -> Query {
    let clause = TextClause::Text { fields: vec![FIELD.to_owned()], query: words.join(" ") };
    Query {
        by: QueryBy::Text(vec![clause]),
        top_k,
        filter: None,
        include_values: false,
        include_metadata: false,
        effort: None,
    }
}

fn open(place: &Path, source: &Path) -> Result<Arc<Database>, Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get();
    Ok(Database::open(DatabaseOptions {
        data: place.join("data"),
        memory_bytes: MEMORY_BYTES,
        threads,
        memtable_rows: limits::MEMTABLE_ROWS_MAX,
        resident_vectors_percent: 100,
        merges_at_once: 1,
        merge_rate: limits::MERGE_RATE_BYTES,
        source_policy: SourcePolicy {
            allow_dirs: vec![source.to_owned()],
            ..SourcePolicy::default()
        },
        import: ImportSettings::new(threads, MEMORY_BYTES),
        imports_at_once: 1,
        export_dirs: Vec::new(),
        export_uris: Vec::new(),
        exports_at_once: 1,
        run_schedules: false,
        webhook: None,
        limits: RequestLimits::default(),
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds),
        faults: None,
        first_port: 5081,
    })?)
}

fn create(database: &Database) -> Result<Arc<Index>, Box<dyn Error>> {
    let body = TextField { name: FIELD.to_owned(), options: TextOptions::default() };
    database.create_index(NewIndex {
        name: IndexName::new("t")?,
        shape: IndexShape::sparse().of_documents(),
        documents: Some(DocumentFields::default()),
        text: TextSchema::new([body]),
        tags: BTreeMap::new(),
        deletion_protection: false,
        cloud: "aws".to_owned(),
        region: "us-east-1".to_owned(),
        spec_json: None,
    })?;
    Ok(database.index("t")?)
}

fn import(index: &Index, documents: &Path) -> Result<(), Box<dyn Error>> {
    let id = index.start_import(StartImport {
        uri: format!("file://{}", documents.display()),
        integration: None,
        options: ErrorMode::Abort.into(),
        idempotency_key: None,
        caller: None,
    })?;
    loop {
        let view = index.describe_import(&id)?;
        if view.status.is_final() {
            let is_whole = view.status == ImportStatus::Completed;
            return if is_whole { Ok(()) } else { Err(format!("{view:?}").into()) };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn bytes_below(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { bytes_below(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

/// What this process has taken of a processor so far, with threads that ended,
/// to a hundredth of a second (Linux).
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / 100.0)
}

/// What the threads that live have taken, to the nanosecond (Linux).
fn cpu_nanoseconds() -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += text.split_whitespace().next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(sum)
}
