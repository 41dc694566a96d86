//! What the commands need of an index of documents, of either client.

use crossbill_core::{Filter, NamespaceName};
use crossbill_server::{DocumentSearch, search_documents};
use crossbill_wire::documents::{FoundDocuments, Included, SearchDocuments};
use reqwest::Method;

use super::{Embedded, Remote};
use crate::error::Result;

/// Searches of documents.
pub(crate) trait Documents {
    /// The documents that match best; the default namespace has an empty name.
    fn search_documents(
        &self,
        index: &str,
        namespace: &str,
        request: SearchDocuments,
    ) -> Result<FoundDocuments>;
}

impl Documents for Embedded {
    fn search_documents(
        &self,
        index: &str,
        namespace: &str,
        request: SearchDocuments,
    ) -> Result<FoundDocuments> {
        let index = self.index(index)?;
        let name = NamespaceName::new(namespace).map_err(crossbill_core::Error::from)?;
        let limits = self.db.limits();
        let filter = request.filter.as_deref();
        let filter = filter.map(|json| Filter::from_json_within(json.get(), limits));
        let search = DocumentSearch {
            top_k: request.top_k(limits.top_k)?,
            filter: filter.transpose().map_err(crossbill_core::Error::from)?,
            included: Included::of(request.include_fields, Included::none()),
            score_by: request.score_by,
        };
        Ok(search_documents(&index, &name, namespace, search, limits)?.0)
    }
}

impl Documents for Remote {
    fn search_documents(
        &self,
        index: &str,
        namespace: &str,
        request: SearchDocuments,
    ) -> Result<FoundDocuments> {
        let namespace = if namespace.is_empty() { NamespaceName::DEFAULT } else { namespace };
        let path = ["namespaces", namespace, "documents", "search"];
        self.data(Method::POST, index, &path, &[], Some(&request))
    }
}
