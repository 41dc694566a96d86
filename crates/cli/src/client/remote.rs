//! The client of a running server: its REST API, through the same shapes that
//! the server writes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crossbill_core::ErrorKind;
use crossbill_core::limits::EXPORT_PAGE_MAX;
use crossbill_wire::{
    CreateIndex, CreateIntegration, ErrorBody, ExportModel, ExportPage, ImportManifestModel,
    ImportModel, ImportPage, IndexList, IndexModel, IntegrationList, IntegrationModel,
    QueryRequest, QueryResponse, RejectPage, SourceTest, StartExport, StartImport, StartedExport,
    StartedImport, StatsRequest, StatsResponse, TestSource, UpsertRequest,
};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use crate::args::ConnectArgs;
use crate::client::{Client, WHOLE_REJECTS_MAX, http};
use crate::error::{CliError, Result};

const DEFAULT_SERVER: &str = "http://127.0.0.1:5080";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Imports that one request may ask for.
const IMPORT_PAGE_MAX: usize = 100;
/// Rejects that one request may ask for.
const REJECT_PAGE_MAX: usize = 1000;
/// The version whose shapes [`crossbill_wire`] reads back.
const API_VERSION: &str = "2025-10";

/// A server, and the hosts of its indexes as far as asked.
pub(crate) struct Remote {
    server: Url,
    api_key: Option<String>,
    http: reqwest::Client,
    runtime: Runtime,
    hosts: RefCell<BTreeMap<String, Url>>,
}

/// A request without a body.
pub(super) const NO_BODY: Option<&()> = None;

impl Remote {
    /// A client of the server named by `args`; does not call it yet.
    pub(crate) fn new(args: &ConnectArgs) -> Result<Self> {
        let server = base_url(&args.server)
            .map_err(|error| CliError::usage(format!("--server is {:?}: {error}", args.server)))?;
        let http = http::client(&server, REQUEST_TIMEOUT)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| http::cannot_make(&error))?;
        Ok(Self {
            server,
            // The variable may hold the server's list; any of its keys will do.
            api_key: args
                .api_key
                .as_deref()
                .and_then(|keys| keys.split(',').next())
                .filter(|key| !key.is_empty())
                .map(str::to_owned),
            http,
            runtime,
            hosts: RefCell::default(),
        })
    }

    pub(super) fn control<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let mut url = http::with_path(&self.server, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.call(method, url, body)
    }

    pub(super) fn data<T: DeserializeOwned>(
        &self,
        method: Method,
        index: &str,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let mut url = http::with_path(&self.host(index)?, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.call(method, url, body)
    }

    /// The data plane of an index: asked once a run.
    fn host(&self, index: &str) -> Result<Url> {
        if let Some(host) = self.hosts.borrow().get(index) {
            return Ok(host.clone());
        }
        let model = self.describe_index(index)?;
        let url = base_url(&model.host).map_err(|error| {
            CliError::failed(format!("the server gave the index host {:?}: {error}", model.host))
        })?;
        self.hosts.borrow_mut().insert(index.to_owned(), url.clone());
        Ok(url)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let mut request =
            self.http.request(method, url.clone()).header("x-pinecone-api-version", API_VERSION);
        if let Some(key) = &self.api_key {
            request = request.header("api-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, bytes) = self
            .runtime
            .block_on(async {
                let response = request.send().await?;
                let status = response.status();
                Ok((status, response.bytes().await?))
            })
            .map_err(|error: reqwest::Error| unreachable_server(&url, &error))?;
        if !status.is_success() {
            return Err(refused(status, &bytes));
        }
        // Some answers have no body at all where JSON has its null.
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map_err(|error| {
            CliError::failed(format!("{url} gave an answer that cannot be read: {error}"))
                .hint("is it a Crossbill server of this version?")
        })
    }
}

impl Client for Remote {
    fn create_index(&self, request: CreateIndex) -> Result<IndexModel> {
        self.control(Method::POST, &["indexes"], &[], Some(&request))
    }

    fn list_indexes(&self) -> Result<Vec<IndexModel>> {
        let list: IndexList = self.control(Method::GET, &["indexes"], &[], NO_BODY)?;
        Ok(list.indexes)
    }

    fn describe_index(&self, name: &str) -> Result<IndexModel> {
        self.control(Method::GET, &["indexes", name], &[], NO_BODY)
    }

    fn delete_index(&self, name: &str) -> Result<()> {
        let _: serde::de::IgnoredAny =
            self.control(Method::DELETE, &["indexes", name], &[], NO_BODY)?;
        Ok(())
    }

    fn stats(&self, index: &str) -> Result<StatsResponse> {
        let body = StatsRequest::default();
        self.data(Method::POST, index, &["describe_index_stats"], &[], Some(&body))
    }

    fn upsert(&self, index: &str, request: &UpsertRequest) -> Result<()> {
        let path = ["vectors", "upsert"];
        let _: serde::de::IgnoredAny = self.data(Method::POST, index, &path, &[], Some(request))?;
        Ok(())
    }

    fn query(&self, index: &str, request: QueryRequest) -> Result<QueryResponse> {
        self.data(Method::POST, index, &["query"], &[], Some(&request))
    }

    fn start_import(&self, index: &str, start: &StartImport) -> Result<String> {
        let started: StartedImport =
            self.data(Method::POST, index, &["bulk", "imports"], &[], Some(start))?;
        Ok(started.id)
    }

    fn describe_import(&self, index: &str, id: &str) -> Result<ImportModel> {
        self.data(Method::GET, index, &["bulk", "imports", id], &[], NO_BODY)
    }

    fn list_imports(&self, index: &str, limit: usize) -> Result<Vec<ImportModel>> {
        let mut imports = Vec::new();
        let mut token: Option<String> = None;
        while imports.len() < limit {
            let mut query =
                vec![("limit", (limit - imports.len()).min(IMPORT_PAGE_MAX).to_string())];
            query.extend(token.take().map(|token| ("paginationToken", token)));
            let page: ImportPage =
                self.data(Method::GET, index, &["bulk", "imports"], &query, NO_BODY)?;
            imports.extend(page.data);
            match page.pagination {
                Some(pagination) => token = Some(pagination.next),
                None => break,
            }
        }
        imports.truncate(limit);
        Ok(imports)
    }

    fn cancel_import(&self, index: &str, id: &str) -> Result<()> {
        let path = ["bulk", "imports", id];
        let _: serde::de::IgnoredAny = self.data(Method::DELETE, index, &path, &[], NO_BODY)?;
        Ok(())
    }

    fn pause_import(&self, index: &str, id: &str) -> Result<()> {
        let path = ["bulk", "imports", id, "pause"];
        let _: serde::de::IgnoredAny = self.data(Method::POST, index, &path, &[], NO_BODY)?;
        Ok(())
    }

    fn resume_import(&self, index: &str, id: &str) -> Result<()> {
        let path = ["bulk", "imports", id, "resume"];
        let _: serde::de::IgnoredAny = self.data(Method::POST, index, &path, &[], NO_BODY)?;
        Ok(())
    }

    fn rejects(&self, index: &str, id: &str, offset: u64, limit: usize) -> Result<RejectPage> {
        let path = ["bulk", "imports", id, "rejects"];
        let mut all = RejectPage { data: Vec::new(), total: 0 };
        loop {
            let wanted = (limit - all.data.len()).min(REJECT_PAGE_MAX);
            let query = [
                ("offset", (offset + all.data.len() as u64).to_string()),
                ("limit", wanted.max(1).to_string()),
            ];
            let page: RejectPage = self.data(Method::GET, index, &path, &query, NO_BODY)?;
            all.total = page.total;
            let got = page.data.len();
            all.data.extend(page.data);
            if got == 0 || all.data.len() >= limit {
                all.data.truncate(limit);
                return Ok(all);
            }
        }
    }

    fn start_export(&self, index: &str, start: &StartExport) -> Result<String> {
        let started: StartedExport =
            self.data(Method::POST, index, &["bulk", "exports"], &[], Some(start))?;
        Ok(started.id)
    }

    fn describe_export(&self, index: &str, id: &str) -> Result<ExportModel> {
        self.data(Method::GET, index, &["bulk", "exports", id], &[], NO_BODY)
    }

    fn list_exports(&self, index: &str, limit: usize) -> Result<Vec<ExportModel>> {
        let mut exports = Vec::new();
        let mut token: Option<String> = None;
        while exports.len() < limit {
            let wanted = (limit - exports.len()).min(EXPORT_PAGE_MAX);
            let mut query = vec![("limit", wanted.to_string())];
            query.extend(token.take().map(|token| ("paginationToken", token)));
            let page: ExportPage =
                self.data(Method::GET, index, &["bulk", "exports"], &query, NO_BODY)?;
            exports.extend(page.data);
            match page.pagination {
                Some(pagination) => token = Some(pagination.next),
                None => break,
            }
        }
        Ok(exports)
    }

    fn cancel_export(&self, index: &str, id: &str) -> Result<()> {
        let path = ["bulk", "exports", id];
        let _: serde::de::IgnoredAny = self.data(Method::DELETE, index, &path, &[], NO_BODY)?;
        Ok(())
    }

    fn create_integration(&self, request: &CreateIntegration) -> Result<IntegrationModel> {
        self.control(Method::POST, &["integrations"], &[], Some(request))
    }

    fn list_integrations(&self) -> Result<Vec<IntegrationModel>> {
        let list: IntegrationList = self.control(Method::GET, &["integrations"], &[], NO_BODY)?;
        Ok(list.integrations)
    }

    fn describe_integration(&self, id: &str) -> Result<IntegrationModel> {
        self.control(Method::GET, &["integrations", id], &[], NO_BODY)
    }

    fn delete_integration(&self, id: &str) -> Result<()> {
        let path = ["integrations", id];
        let _: serde::de::IgnoredAny = self.control(Method::DELETE, &path, &[], NO_BODY)?;
        Ok(())
    }

    fn test_source(&self, ask: &TestSource) -> Result<SourceTest> {
        self.control(Method::POST, &["sources", "test"], &[], Some(ask))
    }

    fn import_manifest(
        &self,
        index: &str,
        id: &str,
        offset: u64,
        limit: usize,
    ) -> Result<ImportManifestModel> {
        let path = ["bulk", "imports", id, "manifest"];
        let query = [("offset", offset.to_string()), ("limit", limit.to_string())];
        self.data(Method::GET, index, &path, &query, NO_BODY)
    }

    fn whole_rejects(&self, index: &str, id: &str, offset: u64) -> Result<RejectPage> {
        let path = ["bulk", "imports", id, "rejects"];
        let query = [
            ("offset", offset.to_string()),
            ("limit", WHOLE_REJECTS_MAX.to_string()),
            ("records", "whole".to_owned()),
        ];
        self.data(Method::GET, index, &path, &query, NO_BODY)
    }

    fn flags(&self) -> String {
        let server = self.server.as_str().trim_end_matches('/');
        if server == DEFAULT_SERVER { String::new() } else { format!(" --server {server}") }
    }

    fn is_embedded(&self) -> bool {
        false
    }

    fn close(&self) {}
}

/// Reads a base address; one without a scheme is plain HTTP.
fn base_url(text: &str) -> std::result::Result<Url, String> {
    http::base_url(text, "http")
}

fn unreachable_server(url: &Url, error: &reqwest::Error) -> CliError {
    let place = &url[..url::Position::BeforePath];
    let message = format!("cannot reach a server at {place}: {}", http::cause(error));
    CliError::of_kind(ErrorKind::Unavailable, message).hint(
        "start one with `crossbill serve`, name another with --server URL, or work without one \
         with --data DIR",
    )
}

/// An error answer as our own error.
fn refused(status: StatusCode, body: &[u8]) -> CliError {
    let message = serde_json::from_slice::<ErrorBody>(body)
        .map_or_else(|_| format!("the server answered {status}"), |body| body.message);
    let kind = match status.as_u16() {
        400 | 422 => ErrorKind::Invalid,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        412 => ErrorKind::FailedPrecondition,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Exhausted,
        507 => ErrorKind::DiskFull,
        501 => ErrorKind::Unsupported,
        502..=504 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    let error = CliError::of_kind(kind, message);
    match kind {
        ErrorKind::Unauthenticated => {
            error.hint("give the server's key with --api-key or CROSSBILL_API_KEY")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_other_servers_are_reported() {
        let error = refused(StatusCode::NOT_FOUND, b"<html>");
        assert_eq!(error.kind(), Some(ErrorKind::NotFound));
        assert!(error.to_string().contains("404"), "{error}");
    }
}
