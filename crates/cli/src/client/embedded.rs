//! The client that is its own server: the engine on a data directory, inside
//! this process. Its user is the operator, so imports may read any file that
//! the user may read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbill_core::{Filter, NamespaceName, VectorStorage};
use crossbill_db::{Database, Index, IndexInfo, Query, QueryBy, RecordText};
use crossbill_server::{
    export_model, import_model, import_start, integration_model, integration_of, make_index,
    manifest_model, reject_model, scored_vector, source_test_model,
};
use crossbill_wire as wire;
use crossbill_wire::{
    ApiVersion, CreateIndex, CreateIntegration, ExportModel, ImportModel, IndexFacts, IndexModel,
    IntegrationModel, Placement, QueryRequest, QueryResponse, RejectPage, SourceTest,
    StatsResponse, StoredSpec, TestSource,
};
use serde_json::value::RawValue;

use crate::args::ConnectArgs;
use crate::client::{Client, Imports, WHOLE_REJECTS_MAX};
use crate::error::{CliError, Result};
use crate::options;
use crate::settings::IntegrationTable;

/// The first data-plane port of a directory that a server serves later.
const FIRST_PORT: u16 = 5081;

/// An open database; closed when dropped.
pub(crate) struct Embedded {
    pub(super) db: Arc<Database>,
    data: PathBuf,
    vector_storage: VectorStorage,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

impl Embedded {
    /// Opens the data directory.
    pub(crate) fn open(
        data: &Path,
        args: &ConnectArgs,
        integrations: &[IntegrationTable],
        imports: Imports,
    ) -> Result<Self> {
        let anywhere = vec![PathBuf::from("/")];
        let mut options =
            options::database(data.to_owned(), &args.engine, integrations, anywhere, FIRST_PORT)?;
        if imports == Imports::Wait {
            options.imports_at_once = 0;
            options.exports_at_once = 0;
            options.merges_at_once = 0;
        }
        options.limits = options::limits(&args.limits)?;
        // A server's clock runs them; here a command is over before they are due.
        options.run_schedules = false;
        options.export_dirs = vec![PathBuf::from("/")];
        let db = Database::open(options).map_err(|error| {
            let shown = format!("cannot open {}: {error}", data.display());
            CliError::of_kind(error.kind(), shown).hint(
                "where a server runs on this directory, ask it: leave --data out, or name it \
                 with --server URL",
            )
        })?;
        let vector_storage = args.engine.default_vector_storage.into();
        Ok(Self { db, data: data.to_owned(), vector_storage })
    }

    pub(super) fn index(&self, name: &str) -> Result<Arc<Index>> {
        Ok(self.db.index(name)?)
    }
}

impl Client for Embedded {
    fn create_index(&self, request: CreateIndex) -> Result<IndexModel> {
        let plan = request.into_plan(ApiVersion::DEFAULT, self.vector_storage, self.db.limits())?;
        let unnamed = || CliError::usage("found no name for the index, expected one");
        let name = plan.name.clone().ok_or_else(unnamed)?;
        let info = make_index(&self.db, plan, name)?;
        Ok(index_model(&info))
    }

    fn list_indexes(&self) -> Result<Vec<IndexModel>> {
        Ok(self.db.list_indexes().iter().map(index_model).collect())
    }

    fn describe_index(&self, name: &str) -> Result<IndexModel> {
        Ok(index_model(&self.db.describe_index(name)?))
    }

    fn delete_index(&self, name: &str) -> Result<()> {
        Ok(self.db.delete_index(name)?)
    }

    fn stats(&self, index: &str) -> Result<StatsResponse> {
        let index = self.index(index)?;
        let shape = index.info().shape;
        let stats = index.stats()?;
        let summaries = stats
            .namespaces
            .into_iter()
            .map(|(name, vector_count)| (name, wire::NamespaceSummary { vector_count }));
        Ok(StatsResponse {
            namespaces: summaries.collect(),
            dimension: (shape.dimension > 0).then_some(shape.dimension),
            index_fullness: 0.0,
            total_vector_count: stats.total,
            metric: shape.metric.as_str().to_owned(),
            vector_type: shape.vector_type.as_str().to_owned(),
        })
    }

    fn upsert(&self, index: &str, request: &wire::UpsertRequest) -> Result<()> {
        let index = self.index(index)?;
        let namespace = NamespaceName::new(request.namespace.as_deref().unwrap_or_default())
            .map_err(crossbill_core::Error::from)?;
        let records = request.clone().into_records(index.shape(), self.db.limits())?;
        index.upsert(&namespace, records)?;
        Ok(())
    }

    fn query(&self, index: &str, mut request: QueryRequest) -> Result<QueryResponse> {
        let index = self.index(index)?;
        let namespace = request.namespace.clone().unwrap_or_default();
        let by = match request.take_by(index.shape(), self.db.limits())? {
            wire::QueryBy::Vector { dense, sparse } => QueryBy::Vector { dense, sparse },
            wire::QueryBy::Id(id) => QueryBy::Id(id),
        };
        let read = |json: &RawValue| Filter::from_json_within(json.get(), self.db.limits());
        let filter = request.filter.as_deref().map(read);
        let query = Query {
            by,
            top_k: request.top_k(self.db.limits().top_k)?,
            filter: filter.transpose().map_err(crossbill_core::Error::from)?,
            include_values: request.include_values.unwrap_or_default(),
            include_metadata: request.include_metadata.unwrap_or_default(),
            effort: None,
        };
        let name = NamespaceName::new(&namespace).map_err(crossbill_core::Error::from)?;
        let answer = index.query(&name, &query)?;
        let matches =
            answer.matches.into_iter().map(scored_vector).collect::<crossbill_core::Result<_>>()?;
        Ok(QueryResponse { matches, namespace, usage: wire::Usage::ONE, explain: None })
    }

    fn start_import(&self, index: &str, start: &wire::StartImport) -> Result<String> {
        let start = import_start(start.clone(), self.db.limits())?;
        Ok(self.index(index)?.start_import(start)?)
    }

    fn describe_import(&self, index: &str, id: &str) -> Result<ImportModel> {
        Ok(import_model(self.index(index)?.describe_import(id)?))
    }

    fn list_imports(&self, index: &str, limit: usize) -> Result<Vec<ImportModel>> {
        let (imports, _more) = self.index(index)?.list_imports(None, limit)?;
        Ok(imports.into_iter().map(import_model).collect())
    }

    fn cancel_import(&self, index: &str, id: &str) -> Result<()> {
        Ok(self.index(index)?.cancel_import(id)?)
    }

    fn pause_import(&self, index: &str, id: &str) -> Result<()> {
        Ok(self.index(index)?.pause_import(id)?)
    }

    fn resume_import(&self, index: &str, id: &str) -> Result<()> {
        Ok(self.index(index)?.resume_import(id)?)
    }

    fn rejects(&self, index: &str, id: &str, offset: u64, limit: usize) -> Result<RejectPage> {
        let text = RecordText::Shown;
        let (rejects, total) = self.index(index)?.import_rejects(id, offset, limit, text)?;
        Ok(RejectPage { data: rejects.into_iter().map(reject_model).collect(), total })
    }

    fn import_manifest(
        &self,
        index: &str,
        id: &str,
        offset: u64,
        limit: usize,
    ) -> Result<wire::ImportManifestModel> {
        Ok(manifest_model(self.index(index)?.import_manifest(id, offset, limit)?, offset))
    }

    fn whole_rejects(&self, index: &str, id: &str, offset: u64) -> Result<RejectPage> {
        let index = self.index(index)?;
        let (rejects, total) =
            index.import_rejects(id, offset, WHOLE_REJECTS_MAX, RecordText::Whole)?;
        Ok(RejectPage { data: rejects.into_iter().map(reject_model).collect(), total })
    }

    fn start_export(&self, index: &str, start: &wire::StartExport) -> Result<String> {
        let namespace = start.namespace.as_deref().map(NamespaceName::new).transpose();
        let namespace = namespace.map_err(crossbill_core::Error::from)?;
        let start = crossbill_db::StartExport {
            uri: start.uri.clone(),
            integration: start.integration_id.clone(),
            namespace,
        };
        Ok(self.index(index)?.start_export(start)?)
    }

    fn describe_export(&self, index: &str, id: &str) -> Result<ExportModel> {
        Ok(export_model(self.index(index)?.describe_export(id)?))
    }

    fn list_exports(&self, index: &str, limit: usize) -> Result<Vec<ExportModel>> {
        let (exports, _more) = self.index(index)?.list_exports(None, limit)?;
        Ok(exports.into_iter().map(export_model).collect())
    }

    fn cancel_export(&self, index: &str, id: &str) -> Result<()> {
        Ok(self.index(index)?.cancel_export(id)?)
    }

    fn create_integration(&self, request: &CreateIntegration) -> Result<IntegrationModel> {
        let integration = integration_of(request.clone())?;
        Ok(integration_model(self.db.create_integration(integration)?))
    }

    fn list_integrations(&self) -> Result<Vec<IntegrationModel>> {
        Ok(self.db.list_integrations().into_iter().map(integration_model).collect())
    }

    fn describe_integration(&self, id: &str) -> Result<IntegrationModel> {
        Ok(integration_model(self.db.describe_integration(id)?))
    }

    fn delete_integration(&self, id: &str) -> Result<()> {
        Ok(self.db.delete_integration(id)?)
    }

    fn test_source(&self, ask: &TestSource) -> Result<SourceTest> {
        let test = self.db.test_source(&ask.uri, ask.integration_id.as_deref())?;
        Ok(source_test_model(ask.uri.clone(), test))
    }

    fn flags(&self) -> String {
        format!(" --data {}", self.data.display())
    }

    fn is_embedded(&self) -> bool {
        true
    }

    fn close(&self) {
        self.db.shutdown();
    }
}

fn index_model(info: &IndexInfo) -> IndexModel {
    let stored = info.spec_json.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let stored = stored.unwrap_or_else(|| StoredSpec::of(Placement::managed()));
    IndexModel::of(IndexFacts {
        name: &info.name,
        shape: &info.shape,
        // Where a server on this directory would put it.
        host: &format!("http://127.0.0.1:{}", info.port),
        deletion_protection: info.deletion_protection,
        tags: &info.tags,
        stored: &stored,
    })
}
