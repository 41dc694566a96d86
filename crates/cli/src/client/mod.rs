//! The database that a command works on, wherever it is: one trait, answered
//! by a running server or by the engine inside this process. Answers have the
//! shapes of the REST API, so that `--json` shows the same either way.

mod backups;
mod documents;
mod embedded;
pub(crate) mod http;
mod remote;

use crossbill_wire::{
    CreateIndex, CreateIntegration, ExportModel, ImportManifestModel, ImportModel, IndexModel,
    IntegrationModel, QueryRequest, QueryResponse, RejectPage, SourceTest, StartExport,
    StartImport, StatsResponse, TestSource, UpsertRequest,
};

use crate::args::ConnectArgs;
use crate::error::Result;
use crate::log::LogFormat;
use crate::settings::IntegrationTable;

pub(crate) use backups::Backups;
pub(crate) use documents::Documents;
pub(crate) use embedded::Embedded;
pub(crate) use remote::Remote;

/// Whole rejects that are asked for at once.
const WHOLE_REJECTS_MAX: usize = 1000;

/// What the commands need of a database.
pub(crate) trait Client: Backups + Documents {
    /// Makes an index.
    fn create_index(&self, request: CreateIndex) -> Result<IndexModel>;
    /// All indexes by name.
    fn list_indexes(&self) -> Result<Vec<IndexModel>>;
    /// One index.
    fn describe_index(&self, name: &str) -> Result<IndexModel>;
    /// Deletes an index and all it holds.
    fn delete_index(&self, name: &str) -> Result<()>;
    /// Records by namespace.
    fn stats(&self, index: &str) -> Result<StatsResponse>;
    /// Stores records.
    fn upsert(&self, index: &str, request: &UpsertRequest) -> Result<()>;
    /// The nearest records.
    fn query(&self, index: &str, request: QueryRequest) -> Result<QueryResponse>;
    /// Starts an import and gives its id.
    fn start_import(&self, index: &str, start: &StartImport) -> Result<String>;
    /// One import.
    fn describe_import(&self, index: &str, id: &str) -> Result<ImportModel>;
    /// At most `limit` imports, newest first.
    fn list_imports(&self, index: &str, limit: usize) -> Result<Vec<ImportModel>>;
    /// Cancels an import.
    fn cancel_import(&self, index: &str, id: &str) -> Result<()>;
    /// Holds an import.
    fn pause_import(&self, index: &str, id: &str) -> Result<()>;
    /// Goes on with a paused import.
    fn resume_import(&self, index: &str, id: &str) -> Result<()>;
    /// Rejects from `offset` on with their records whole, as many as one answer
    /// holds.
    fn whole_rejects(&self, index: &str, id: &str, offset: u64) -> Result<RejectPage>;
    /// Rejects from `offset` on, at most `limit`.
    fn rejects(&self, index: &str, id: &str, offset: u64, limit: usize) -> Result<RejectPage>;
    /// The completion manifest of an import that has ended, with files and
    /// parts from `offset` on, at most `limit`.
    fn import_manifest(
        &self,
        index: &str,
        id: &str,
        offset: u64,
        limit: usize,
    ) -> Result<ImportManifestModel>;
    /// Starts an export and gives its id.
    fn start_export(&self, index: &str, start: &StartExport) -> Result<String>;
    /// One export.
    fn describe_export(&self, index: &str, id: &str) -> Result<ExportModel>;
    /// At most `limit` exports, newest first.
    fn list_exports(&self, index: &str, limit: usize) -> Result<Vec<ExportModel>>;
    /// Cancels an export.
    fn cancel_export(&self, index: &str, id: &str) -> Result<()>;
    /// Makes an integration.
    fn create_integration(&self, request: &CreateIntegration) -> Result<IntegrationModel>;
    /// All integrations by id.
    fn list_integrations(&self) -> Result<Vec<IntegrationModel>>;
    /// One integration.
    fn describe_integration(&self, id: &str) -> Result<IntegrationModel>;
    /// Deletes an integration and its secrets.
    fn delete_integration(&self, id: &str) -> Result<()>;
    /// Looks whether a source can be read.
    fn test_source(&self, ask: &TestSource) -> Result<SourceTest>;
    /// The flags by which another command reaches the same database, each
    /// with a space before it.
    fn flags(&self) -> String;
    /// Whether imports end with this process.
    fn is_embedded(&self) -> bool;
    /// Ends the work of this process on the database at a safe point.
    fn close(&self);
}

/// Whether an embedded database works on the imports that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imports {
    /// They run, in order.
    Run,
    /// They wait. A command that only asks must not go on with an import,
    /// whose settings it may not have been given.
    Wait,
}

/// The client that the flags ask for.
pub(crate) fn connect(
    args: &ConnectArgs,
    integrations: &[IntegrationTable],
    imports: Imports,
) -> Result<Box<dyn Client>> {
    // What goes wrong is in the answer: the log would say it twice.
    crate::log::start(args.engine.log.as_deref().unwrap_or("error"), LogFormat::Text, None)?;
    match &args.data {
        Some(data) => Ok(Box::new(Embedded::open(data, args, integrations, imports)?)),
        None => Ok(Box::new(Remote::new(args)?)),
    }
}
