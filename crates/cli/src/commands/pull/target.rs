//! The index that is loaded into: made or checked, filled by upserts, or by an
//! import of the staged files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crossbill_core::limits::{METADATA_BYTES_MAX, REQUEST_BYTES_MAX, UPSERT_RECORDS_MAX};
use crossbill_core::{
    Clock, Error, ErrorKind, IndexShape, Metric, Record, RequestLimits, Rng, VectorStorage,
    VectorType, check_stored,
};
use crossbill_wire::{
    CreateIndex, Deployment, ImportModel, IndexModel, SparseValues, StartImport, TestSource,
    UpsertRequest, Vector,
};
use serde_json::value::RawValue;

use super::checkpoint::failed;
use super::pace::Tries;
use crate::client::Client;
use crate::commands::follow;
use crate::error::{CliError, Result};
use crate::{output, uri};

/// Imports looked through for the one of a pull.
const IMPORTS_SEEN: usize = 100;
/// Bytes of an upsert's body besides its records.
const REQUEST_BYTES_SPARE: usize = 4096;
/// How long the server may be away.
const AWAY_MAX: Duration = Duration::from_secs(300);
/// The file by which a server shows that it reads the staging directory.
const PROBE: &str = "probe.parquet";

/// An index of ours.
pub(super) struct Target<'a> {
    pub(super) client: &'a dyn Client,
    pub(super) name: &'a str,
    pub(super) shape: IndexShape,
}

impl<'a> Target<'a> {
    /// The index `name`, made like the source where it is missing; refused
    /// where it holds other vectors.
    pub(super) fn open(client: &'a dyn Client, name: &'a str, source: &IndexShape) -> Result<Self> {
        let model = match client.describe_index(name) {
            Ok(model) => model,
            Err(error) if error.kind() == Some(ErrorKind::NotFound) => {
                let model = client.create_index(request(name, source))?;
                output::note(&format!("created index {name}: {}", told(source)));
                model
            }
            Err(error) => return Err(error),
        };
        let shape = shape(&model)?;
        if shape.stored_as(source.storage) != *source {
            return Err(CliError::failed(format!(
                "index {name} holds {}, expected {} as the source does",
                told(&shape),
                told(source)
            ))
            .hint("name another index with --into, which is made where it is missing"));
        }
        Ok(Self { client, name, shape })
    }

    /// A pulled record as the index can hold it.
    pub(super) fn record(&self, id: &str, json: &RawValue) -> std::result::Result<Record, Error> {
        let vector: Vector = serde_json::from_str(json.get())
            .map_err(|error| Error::invalid(format!("cannot be read: {error}")))?;
        let record = Vector { id: id.to_owned(), ..vector }
            .into_record(&self.shape, &RequestLimits::default())?;
        if self.shape.vector_type == VectorType::Dense {
            check_stored(&self.shape, &record.values)?;
        }
        let bytes = record.metadata.as_ref().map_or(0, |metadata| metadata.to_json().len());
        if bytes > METADATA_BYTES_MAX {
            return Err(Error::invalid(format!(
                "metadata has {bytes} bytes as JSON, expected at most {METADATA_BYTES_MAX}"
            )));
        }
        Ok(record)
    }

    /// Stores records, in as many requests as they need. A server that is
    /// away for a while is asked again.
    pub(super) fn upsert(
        &self,
        namespace: &str,
        records: &[Record],
        clock: &dyn Clock,
        rng: &mut Rng,
    ) -> Result<()> {
        for vectors in requests(records)? {
            let request = UpsertRequest { vectors, namespace: Some(namespace.to_owned()) };
            let mut tries = Tries::new(clock.monotonic(), AWAY_MAX);
            while let Err(error) = self.client.upsert(self.name, &request) {
                let passes =
                    matches!(error.kind(), Some(ErrorKind::Unavailable | ErrorKind::Exhausted));
                match tries.pause(clock.monotonic(), None, rng) {
                    Some(pause) if passes => clock.sleep(pause),
                    _ => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Whether imports can read the staging directory, by a file that is put
    /// into `scratch` below it.
    pub(super) fn check_reads(&self, scratch: &Path) -> Result<()> {
        if self.client.is_embedded() {
            return Ok(());
        }
        let probe = scratch.join(PROBE);
        fs::write(&probe, "").map_err(|error| failed("writing", &probe, &error))?;
        let ask = TestSource { uri: directory_uri(scratch)?, integration_id: None };
        let answer = self.client.test_source(&ask);
        // The next start sweeps it where this fails.
        let _ = fs::remove_file(&probe);
        let problem = match answer {
            Ok(test) if test.files.iter().any(|file| file.path == PROBE) => return Ok(()),
            Ok(test) => test.error.unwrap_or_else(|| "it does not see the files there".to_owned()),
            Err(error) if error.kind() == Some(ErrorKind::Forbidden) => error.message().to_owned(),
            Err(error) => return Err(error),
        };
        Err(CliError::failed(format!(
            "the server cannot import from {}: {problem}",
            scratch.display()
        ))
        .hint(
            "on the server's own machine: serve --allow-import-dir DIR, and pull --staging \
             DIR/pull; from elsewhere: pull --load upsert",
        ))
    }

    /// The import of `records`: the one that an earlier run began, or a new
    /// one. A directory of records belongs to one pull alone.
    pub(super) fn import(&self, records: &Path) -> Result<ImportModel> {
        let uri = directory_uri(records)?;
        let imports = self.client.list_imports(self.name, IMPORTS_SEEN)?;
        let begun = imports.into_iter().find(|import| import.uri == uri);
        match begun {
            Some(import) if !matches!(import.status.as_str(), "Failed" | "Cancelled") => {
                if !follow::is_final(&import.status) {
                    self.client.resume_import(self.name, &import.id)?;
                    output::note(&format!("going on with import {}", import.id));
                }
                Ok(import)
            }
            _ => {
                let start = StartImport { uri, ..StartImport::default() };
                let id = self.client.start_import(self.name, &start)?;
                self.client.describe_import(self.name, &id)
            }
        }
    }
}

fn directory_uri(directory: &Path) -> Result<String> {
    let text = directory.to_str().ok_or_else(|| {
        CliError::usage(format!(
            "the path {} is not UTF-8, expected one that is",
            directory.display()
        ))
    })?;
    uri::import_uri(text)
}

/// The request for an index like the source.
fn request(name: &str, shape: &IndexShape) -> CreateIndex {
    let is_dense = shape.vector_type == VectorType::Dense;
    CreateIndex {
        name: Some(name.to_owned()),
        dimension: is_dense.then_some(shape.dimension.into()),
        metric: is_dense.then(|| shape.metric.as_str().to_owned()),
        vector_type: Some(shape.vector_type.as_str().to_owned()),
        deployment: Some(Deployment::default()),
        ..CreateIndex::default()
    }
}

fn shape(model: &IndexModel) -> Result<IndexShape> {
    if model.vector_type == VectorType::Sparse.as_str() {
        return Ok(IndexShape::sparse());
    }
    let storage = model.vector_storage.as_deref().and_then(VectorStorage::parse);
    let read = Metric::parse(&model.metric).zip(model.dimension);
    let (metric, dimension) = read.ok_or_else(|| {
        CliError::failed(format!(
            "the server describes index {} with metric {:?} and dimension {:?}, expected both",
            model.name, model.metric, model.dimension
        ))
    })?;
    Ok(IndexShape::dense(dimension, metric).stored_as(storage.unwrap_or_default()))
}

fn told(shape: &IndexShape) -> String {
    match shape.vector_type {
        VectorType::Sparse => "sparse vectors".to_owned(),
        VectorType::Dense => format!(
            "dense vectors of dimension {} under metric {}",
            shape.dimension,
            shape.metric.as_str()
        ),
    }
}

/// Records as the bodies of requests, each within the server's bounds.
fn requests(records: &[Record]) -> Result<Vec<Vec<Vector>>> {
    let mut requests: Vec<Vec<Vector>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let vector = vector(record)?;
        let json = serde_json::to_vec(&vector);
        let own = json.expect("a vector has only string keys").len() + 1;
        match requests.last_mut() {
            Some(request)
                if request.len() < UPSERT_RECORDS_MAX
                    && bytes + own <= REQUEST_BYTES_MAX - REQUEST_BYTES_SPARE =>
            {
                bytes += own;
                request.push(vector);
            }
            _ => {
                bytes = own;
                requests.push(vec![vector]);
            }
        }
    }
    Ok(requests)
}

fn vector(record: &Record) -> Result<Vector> {
    let metadata =
        record.metadata.as_ref().map(|metadata| RawValue::from_string(metadata.to_json()));
    let metadata = metadata.transpose().map_err(|error| {
        CliError::failed(format!("the metadata of record {:?} is no JSON: {error}", record.id))
    })?;
    Ok(Vector {
        id: record.id.clone(),
        values: record.values.clone(),
        sparse_values: record.sparse.as_ref().map(SparseValues::from),
        metadata,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize, dimension: usize) -> Vec<Record> {
        let record = |number: usize| Record {
            id: format!("r{number}"),
            values: vec![0.123_456_79; dimension],
            sparse: None,
            metadata: None,
        };
        (0..count).map(record).collect()
    }

    #[test]
    fn requests_keep_the_bounds_of_the_server() {
        for (count, dimension) in [(0, 1), (1, 20_000), (100, 20_000), (2500, 2), (100, 1536)] {
            let records = records(count, dimension);
            let requests = requests(&records).unwrap();
            let ids: Vec<&str> = requests.iter().flatten().map(|one| one.id.as_str()).collect();
            assert_eq!(ids, records.iter().map(|one| one.id.as_str()).collect::<Vec<_>>());
            for vectors in requests {
                assert!(!vectors.is_empty() && vectors.len() <= UPSERT_RECORDS_MAX);
                let body = UpsertRequest { vectors, namespace: Some("n".repeat(512)) };
                assert!(serde_json::to_vec(&body).unwrap().len() <= REQUEST_BYTES_MAX);
            }
        }
    }
}
