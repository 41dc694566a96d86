//! Documents: upsert, search, fetch, update, delete, list. Each parses, calls
//! the database and renders; an index of vectors refuses them all.

use std::sync::Arc;

use crossbill_core::{DocumentFields, NamespaceName};
use crossbill_db::{Index, Removal, StoredRecord, Update};
use crossbill_wire::ApiVersion;
use crossbill_wire::documents::{
    ChangedDocuments, DeleteDocuments, DocumentChange, DocumentModel, FetchDocuments,
    FetchedDocuments, Included, ListDocuments, ListedDocument, ListedDocuments, SearchDocuments,
    StoredDocument, UpdateDocuments, UpsertDocuments, UpsertedDocuments,
};

use super::search::{DocumentSearch, ONE, model, schema_of, search_documents};
use crate::call::{Answer, Call, Reply, check_limit, namespace};
use crate::error::ApiError;
use crate::pages::AskedPage;
use crate::verbs::of_metadata;
use crate::verbs::query::check_answer;
use crate::verbs::records::{self, ByMetadata, Deletion};

/// What every call is about.
struct Asked<'a> {
    index: Arc<Index>,
    /// Names of the vectors' fields.
    schema: DocumentFields,
    namespace: NamespaceName,
    /// The namespace as the path has it.
    written: &'a str,
}

impl<'a> Asked<'a> {
    fn of(call: &'a Call) -> Result<Self, ApiError> {
        let index = call.index()?;
        let schema = schema_of(&index)?;
        let written = call.param("namespace");
        Ok(Self { index, schema, namespace: namespace(Some(written))?, written })
    }

    fn model(
        &self,
        stored: &StoredDocument<'_>,
        included: &Included,
    ) -> Result<DocumentModel, ApiError> {
        Ok(model(stored, &self.schema, included)?)
    }
}

/// `…/documents/upsert`: each document takes the place of the one with its id.
pub(crate) fn upsert(call: &Call) -> Answer {
    let asked = Asked::of(call)?;
    let request: UpsertDocuments = call.json()?;
    let upserted_count = request.documents.len() as u64;
    let records = request.into_records(&asked.schema, call.limits())?;
    call.check_wanted()?;
    let lsn = asked.index.upsert(&asked.namespace, records)?;
    Ok(Reply::json(202, &UpsertedDocuments { upserted_count })?.wrote(lsn))
}

/// `…/documents/search`.
pub(crate) fn search(call: &Call) -> Answer {
    let asked = Asked::of(call)?;
    let request: SearchDocuments = call.json()?;
    let top_k = request.top_k(call.limits().top_k)?;
    // Older versions answer with everything where nothing is said.
    let included = match request.include_fields {
        None if call.version() < ApiVersion::SCHEMA => Included::All,
        fields => Included::of(fields, Included::none()),
    };
    let filter = call.filter(request.filter.as_deref())?;
    let search = DocumentSearch { score_by: request.score_by, top_k, filter, included };
    let (namespace, limits) = (&asked.namespace, call.limits());
    let (body, lsn) = search_documents(&asked.index, namespace, asked.written, search, limits)?;
    let reply = Reply::json(200, &body)?;
    check_answer(reply.body.len(), limits)?;
    Ok(reply.saw(lsn))
}

/// `…/documents/fetch`: by ids, or a page of those that a filter matches.
pub(crate) fn fetch(call: &Call) -> Answer {
    let asked = Asked::of(call)?;
    let request: FetchDocuments = call.json()?;
    if let Some(limit) = request.limit {
        check_limit(limit, call.limits().fetch_page)?;
    }
    let token = request.pagination_token.as_deref();
    let (records, next, lsn) = match (request.ids, call.filter(request.filter.as_deref())?) {
        (Some(_), None) if token.is_some() => {
            return Err(ApiError::invalid(
                "pagination_token is given, expected a filter beside it",
            ));
        }
        (Some(ids), None) => {
            let (records, lsn) = records::fetch(&call.shared, &asked.index, asked.written, &ids)?;
            (records, None, lsn)
        }
        (None, Some(filter)) => {
            let (namespace, limit) = (asked.written, request.limit);
            let page = ByMetadata { namespace, filter: Some(filter), limit, token };
            records::fetch_by_metadata(&call.shared, &asked.index, page)?
        }
        (ids, _) => return Err(not_one("ids and filter", ids.is_some())),
    };
    let included = Included::of(request.include_fields, Included::All);
    let entry = |record: StoredRecord| {
        let stored = StoredDocument {
            id: &record.id,
            score: None,
            values: Some(record.values.as_slice()).filter(|values| !values.is_empty()),
            sparse: record.sparse.as_ref(),
            metadata_json: record.metadata_json.as_deref(),
        };
        let model = asked.model(&stored, &included)?;
        Ok::<_, ApiError>((record.id, model))
    };
    let body = FetchedDocuments {
        documents: records.into_iter().map(entry).collect::<Result<_, _>>()?,
        namespace: asked.written.to_owned(),
        usage: ONE,
        pagination: next,
    };
    Ok(Reply::json(200, &body)?.saw(lsn))
}

/// A call that names its documents in several ways, or in none.
fn not_one(ways: &str, several: bool) -> ApiError {
    let found = if several { "more than one" } else { "none" };
    ApiError::invalid(format!("{found} of {ways} was given, expected exactly one"))
}

/// `…/documents/update`: each by its id, or all that a filter matches.
pub(crate) fn update(call: &Call) -> Answer {
    let asked = Asked::of(call)?;
    let request: UpdateDocuments = call.json()?;
    let has_patch = request.has_patch();
    let (matched, lsn) = match (request.documents, call.filter(request.filter.as_deref())?) {
        (Some(_), None) if has_patch => {
            return Err(ApiError::invalid(
                "set_fields or remove_fields is given beside documents, expected a filter",
            ));
        }
        (Some(documents), None) => {
            let changes = UpdateDocuments::by_id(documents, &asked.schema, call.limits())?;
            let update = |(id, change)| update_of(id, change, &asked.schema);
            let updates = changes.into_iter().map(update).collect();
            (None, asked.index.update_each(&asked.namespace, updates)?)
        }
        (None, Some(filter)) => {
            let filter = of_metadata(filter, "Update with empty metadata filter is not allowed")?;
            let (set, remove) = (request.set_fields, request.remove_fields);
            let change = UpdateDocuments::by_filter(set, remove, &asked.schema, call.limits())?;
            let update = update_of(String::new(), change, &asked.schema);
            let matched = asked.index.update_by_filter(&asked.namespace, &filter, update, false)?;
            (Some(matched), asked.index.lsn())
        }
        (documents, _) => return Err(not_one("documents and filter", documents.is_some())),
    };
    Ok(Reply::json(202, &changed(matched))?.wrote(lsn))
}

/// The database's form of a change.
fn update_of(id: String, change: DocumentChange, schema: &DocumentFields) -> Update {
    let DocumentChange { mut set, remove } = change;
    let sparse = schema.sparse.as_ref().is_some_and(|name| remove.contains(name));
    let set_metadata = set.take_metadata();
    let remove = Removal { sparse, fields: remove };
    Update { id, values: set.values, sparse: set.sparse, set_metadata, remove }
}

fn changed(matched: Option<u64>) -> ChangedDocuments {
    let count = |matched| i32::try_from(matched).unwrap_or(i32::MAX);
    ChangedDocuments { matched_records: matched.map(count) }
}

/// `…/documents/delete`.
pub(crate) fn delete(call: &Call) -> Answer {
    let asked = Asked::of(call)?;
    let request: DeleteDocuments = call.json()?;
    let deletion = Deletion {
        filter: call.filter(request.filter.as_deref())?,
        ids: request.ids,
        all: request.delete_all == Some(true),
    };
    let (matched, lsn) = records::delete(&call.shared, &asked.index, asked.written, deletion)?;
    Ok(Reply::json(202, &changed(matched))?.wrote(lsn))
}

/// `…/documents/list`, in id order.
pub(crate) fn list(call: &Call) -> Answer {
    let asked = Asked::of(call)?;
    let request: ListDocuments = match call.body.is_empty() {
        true => ListDocuments::default(),
        false => call.json()?,
    };
    let page = AskedPage {
        token: request.pagination_token.as_deref(),
        limit: request.limit,
        prefix: request.prefix.as_deref(),
    };
    let (ids, next, lsn) = records::list(&call.shared, &asked.index, asked.written, page)?;
    let body = ListedDocuments {
        documents: ids.into_iter().map(|id| ListedDocument { id }).collect(),
        namespace: asked.written.to_owned(),
        usage: ONE,
        pagination: next,
    };
    Ok(Reply::json(200, &body)?.saw(lsn))
}
