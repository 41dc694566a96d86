//! One open database and the API over it, for the process that opened it.
//!
//! A request runs on a runtime of the database's own; the calling thread waits
//! without Python's lock and looks for Ctrl-C meanwhile. A forked child has none
//! of the threads: it may neither call nor close, and dropping does nothing.

use std::ffi::OsString;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crossbill_cli::Embedding;
use crossbill_core::limits;
use crossbill_server::{Embedded, EmbeddedAnswer, EmbeddedRequest};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::stream::Batches;
use crate::table::{self, Table};

/// How often a waiting thread looks for signals.
const SIGNALS_EVERY: Duration = Duration::from_millis(50);
/// Threads that pass requests on; what they ask for runs on others.
const RUNTIME_THREADS: usize = 2;
/// Where tables lie below the data directory until they are imported. The
/// scratch directory is emptied at every start.
const TABLES: &str = "scratch/tables";

/// An open data directory.
#[pyclass(frozen, module = "crossbill._native")]
pub(crate) struct Database {
    open: Mutex<Option<Open>>,
    tables: PathBuf,
    process: u32,
}

struct Open {
    database: Arc<crossbill_db::Database>,
    api: Embedded,
    runtime: Runtime,
}

type Headers = Vec<(String, String)>;

#[pymethods]
impl Database {
    /// Opens the data directory, making it where it is missing. `flags` are
    /// those of `crossbill serve`.
    #[new]
    fn open(py: Python<'_>, data: PathBuf, flags: Vec<String>) -> PyResult<Self> {
        py.detach(|| {
            let data = std::path::absolute(data).map_err(PyOSError::new_err)?;
            let tables = data.join(TABLES);
            let flags = flags.into_iter().map(OsString::from).collect();
            let embedding =
                crossbill_cli::embed(&data, &tables, flags).map_err(PyValueError::new_err)?;
            let open = Open::new(embedding, &tables)?;
            let process = std::process::id();
            Ok(Self { open: Mutex::new(Some(open)), tables, process })
        })
    }

    /// Answers one request: status, headers with names in lower case, body.
    fn request(
        &self,
        py: Python<'_>,
        method: String,
        target: String,
        headers: Headers,
        body: &[u8],
    ) -> PyResult<(u16, Headers, Py<PyBytes>)> {
        let (api, handle) = self.api()?;
        let request =
            EmbeddedRequest { method, target, headers, body: Bytes::copy_from_slice(body) };
        let answer = wait(py, &handle, api, request)?;
        let body = PyBytes::new(py, &answer.body).unbind();
        Ok((answer.status, answer.headers, body))
    }

    /// Lays down what `table` streams for an import into `namespace`.
    fn write_table(
        &self,
        py: Python<'_>,
        table: &Bound<'_, PyAny>,
        namespace: &str,
    ) -> PyResult<Table> {
        self.api()?;
        let batches = Batches::of(table)?;
        table::write(py, batches, &self.tables, namespace)
    }

    /// Whether calls are taken.
    fn is_open(&self) -> bool {
        self.process == std::process::id() && self.lock().is_some()
    }

    /// Ends background work at a safe point and gives the directory free; calls
    /// under way end first, for a while. Nothing happens the second time, nor in
    /// a forked child.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }
}

impl Database {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        // It is set or taken in one statement: a panic elsewhere spoils nothing.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api(&self) -> PyResult<(Embedded, Handle)> {
        if self.process != std::process::id() {
            return Err(PyRuntimeError::new_err(format!(
                "process {} opened this database and this process was forked from it: open \
                 databases after forking, or start processes with the method \"spawn\"",
                self.process
            )));
        }
        match &*self.lock() {
            Some(open) => Ok((open.api.clone(), open.runtime.handle().clone())),
            None => Err(closed()),
        }
    }

    fn end(&self) {
        if self.process != std::process::id() {
            return;
        }
        let taken = self.lock().take();
        if let Some(open) = taken {
            open.end();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            self.end();
        } else {
            // Its threads are not here to be joined, and the lock is the parent's.
            mem::forget(self.lock().take());
        }
    }
}

impl Open {
    fn new(embedding: Embedding, tables: &Path) -> PyResult<Self> {
        let shown = embedding.database.data.display().to_string();
        let database = crossbill_db::Database::open(embedding.database)
            .map_err(|error| PyOSError::new_err(format!("cannot open {shown}: {error}")))?;
        std::fs::create_dir_all(tables)
            .map_err(|error| PyOSError::new_err(format!("cannot open {shown}: {error}")))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("crossbill-api")
            .enable_all()
            .build()
            .map_err(|error| PyOSError::new_err(format!("cannot start threads: {error}")))?;
        let api = Embedded::new(Arc::clone(&database), embedding.server);
        Ok(Self { database, api, runtime })
    }

    fn end(self) {
        self.api.close();
        self.runtime.shutdown_timeout(limits::EMBEDDED_DRAIN);
        self.database.shutdown();
    }
}

fn closed() -> PyErr {
    PyRuntimeError::new_err("this database was closed")
}

/// The answer to `request`. Ctrl-C ends the wait, and the request with it where
/// it has not begun.
fn wait(
    py: Python<'_>,
    handle: &Handle,
    api: Embedded,
    request: EmbeddedRequest,
) -> PyResult<EmbeddedAnswer> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let task = handle.spawn(async move {
        // Nobody may be there any more.
        let _ = sender.send(api.answer(request).await);
    });
    let receiver = Mutex::new(receiver);
    loop {
        let arrived = py.detach(|| {
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv_timeout(SIGNALS_EVERY)
        });
        match arrived {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => return Err(PyValueError::new_err(error.to_string())),
            // The runtime ended before the request did.
            Err(RecvTimeoutError::Disconnected) => return Err(closed()),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(signal) = py.check_signals() {
                    task.abort();
                    return Err(signal);
                }
            }
        }
    }
}
