//! Records by id, by filter and by listing: fetch, update, delete, list,
//! stats.

use crossbill_core::limits::{FETCH_BY_METADATA_PAGE_DEFAULT, LIST_PAGE_MAX};
use crossbill_core::{Filter, Metadata};
use crossbill_db::{Index, IndexStats, Lsn, Selector, StoredRecord, Update};
use crossbill_wire::{DeleteRequest, FetchResponse, Pagination, SparseValues, check_new_parts};

use super::{of_metadata, required};
use crate::call::namespace;
use crate::dispatch::Shared;
use crate::error::ApiError;
use crate::pages::{AskedPage, Listing, PageRequest};

/// Records with these ids. Unknown ids are left out.
pub(crate) fn fetch(
    shared: &Shared,
    index: &Index,
    written: &str,
    ids: &[String],
) -> Result<(Vec<StoredRecord>, Lsn), ApiError> {
    let namespace = namespace(Some(written))?;
    FetchResponse::check_ids(ids, shared.db.limits().ids)?;
    let lsn = index.lsn();
    Ok((index.fetch(&namespace, ids)?, lsn))
}

/// What a fetch by metadata asks for.
pub(crate) struct ByMetadata<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) filter: Option<Filter>,
    pub(crate) limit: Option<usize>,
    pub(crate) token: Option<&'a str>,
}

/// A page of the records that match, in id order, and the token of the next.
pub(crate) fn fetch_by_metadata(
    shared: &Shared,
    index: &Index,
    asked: ByMetadata<'_>,
) -> Result<(Vec<StoredRecord>, Option<Pagination>, Lsn), ApiError> {
    let namespace = namespace(Some(asked.namespace))?;
    let filter = required(asked.filter, "Empty filter provided for fetch by metadata request")?;
    let token = asked.token.filter(|token| !token.is_empty());
    let most = shared.db.limits().fetch_page;
    let limits = (most, FETCH_BY_METADATA_PAGE_DEFAULT.min(most));
    let asked_page = AskedPage { token, limit: asked.limit, prefix: None };
    let uid = index.uid();
    let listing = Listing::ByMetadata { index: uid, namespace: namespace.as_str() };
    let page = PageRequest::new(&shared.page_key, listing, asked_page, limits)?;
    let lsn = index.lsn();
    let after = page.after.as_deref();
    let (records, next) = index.fetch_by_metadata(&namespace, &filter, page.limit, after)?;
    Ok((records, next.map(|after| page.next(after)), lsn))
}

/// What an update asks for.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) namespace: String,
    /// The empty id is how absence reads over gRPC.
    pub(crate) id: Option<String>,
    pub(crate) values: Vec<f32>,
    pub(crate) sparse: Option<SparseValues>,
    pub(crate) set_metadata: Option<Metadata>,
    pub(crate) filter: Option<Filter>,
    pub(crate) dry_run: bool,
}

/// Changes one record by id, or the metadata of all that match a filter: then
/// says how many.
pub(crate) fn update(
    shared: &Shared,
    index: &Index,
    mut asked: Change,
) -> Result<(Option<i32>, Lsn), ApiError> {
    let id = asked.id.take().filter(|id| !id.is_empty());
    match (id, asked.filter.take()) {
        (Some(id), None) => Ok((None, update_one(shared, index, asked, id)?)),
        (None, Some(filter)) => update_matching(index, asked, filter),
        (Some(_), Some(_)) => {
            Err(ApiError::invalid("both id and filter were given, expected one of them"))
        }
        (None, None) => {
            Err(ApiError::invalid("neither id nor filter was given, expected one of them"))
        }
    }
}

fn update_one(shared: &Shared, index: &Index, asked: Change, id: String) -> Result<Lsn, ApiError> {
    let namespace = namespace(Some(&asked.namespace))?;
    crossbill_core::check_record_id(&id).map_err(|error| ApiError::invalid(error.to_string()))?;
    let sparse = check_new_parts(index.shape(), &asked.values, asked.sparse, shared.db.limits())?;
    let values = Some(asked.values).filter(|values| !values.is_empty());
    if values.is_none() && sparse.is_none() && asked.set_metadata.is_none() {
        return Err(ApiError::invalid(
            "there is nothing to update, expected values, sparseValues or setMetadata",
        ));
    }
    let set_metadata = asked.set_metadata;
    Ok(index
        .update(&namespace, Update { id, values, sparse, set_metadata, ..Update::default() })?)
}

fn update_matching(
    index: &Index,
    asked: Change,
    filter: Filter,
) -> Result<(Option<i32>, Lsn), ApiError> {
    if !asked.values.is_empty() || asked.sparse.is_some() {
        return Err(ApiError::invalid(
            "Update by metadata request does not support updating vector values.",
        ));
    }
    let namespace = namespace(Some(&asked.namespace))?;
    let filter = of_metadata(filter, "Update with empty metadata filter is not allowed")?;
    let set_metadata = match asked.set_metadata {
        Some(fields) => fields,
        None if asked.dry_run => Metadata::default(),
        None => return Err(ApiError::invalid("setMetadata is missing, expected an object")),
    };
    let update = Update { set_metadata: Some(set_metadata), ..Update::default() };
    let matched = index.update_by_filter(&namespace, &filter, update, asked.dry_run)?;
    Ok((Some(i32::try_from(matched).unwrap_or(i32::MAX)), index.lsn()))
}

/// What a delete asks for, of vectors or of documents.
#[derive(Default)]
pub(crate) struct Deletion {
    pub(crate) ids: Option<Vec<String>>,
    pub(crate) all: bool,
    pub(crate) filter: Option<Filter>,
}

/// Deletes records; says how many a filter matched.
pub(crate) fn delete(
    shared: &Shared,
    index: &Index,
    written: &str,
    asked: Deletion,
) -> Result<(Option<u64>, Lsn), ApiError> {
    let namespace = namespace(Some(written))?;
    let selector = selector(asked, shared.db.limits().ids)?;
    let is_filter = matches!(selector, Selector::Filter(_));
    let (lsn, matched) = index.delete_counted(&namespace, selector)?;
    Ok((is_filter.then_some(matched), lsn))
}

/// Exactly one of the three ways to say which records. An empty list of ids
/// beside another way counts as none: that is how absence reads over gRPC.
fn selector(asked: Deletion, ids_max: usize) -> Result<Selector, ApiError> {
    let has_ids = asked.ids.as_ref().is_some_and(|ids| !ids.is_empty());
    if asked.all {
        return match (has_ids, asked.filter) {
            (true, _) => Err(ApiError::invalid("No explicit IDs allowed when delete_all=true")),
            (false, Some(_)) => Err(ApiError::invalid("No filter allowed when delete_all=true")),
            (false, None) => Ok(Selector::All),
        };
    }
    match (asked.ids, asked.filter) {
        (Some(_), Some(_)) if has_ids => {
            Err(ApiError::invalid("both ids and filter were given, expected one of them"))
        }
        (_, Some(filter)) => {
            let empty = "Delete with empty metadata filter is not allowed";
            Ok(Selector::Filter(of_metadata(filter, empty)?))
        }
        (Some(ids), None) => {
            DeleteRequest::check_ids(&ids, ids_max)?;
            Ok(Selector::Ids(ids))
        }
        (None, None) => Err(ApiError::invalid(
            "neither ids, filter nor delete_all was given, expected one of them",
        )),
    }
}

/// A page of ids in order, and the token of the next.
pub(crate) fn list(
    shared: &Shared,
    index: &Index,
    written: &str,
    asked: AskedPage<'_>,
) -> Result<(Vec<String>, Option<Pagination>, Lsn), ApiError> {
    let namespace = namespace(Some(written))?;
    let uid = index.uid();
    let listing = Listing::Ids { index: uid, namespace: namespace.as_str() };
    check_prefix(shared, asked.prefix)?;
    let page = PageRequest::new(&shared.page_key, listing, asked, list_limits(shared))?;
    let lsn = index.lsn();
    let (ids, more) =
        index.list_ids(&namespace, &page.prefix, page.after.as_deref(), page.limit)?;
    let last = ids.last().filter(|_| more).cloned();
    Ok((ids, last.map(|last| page.next(last)), lsn))
}

/// Checks the prefix that a listing asks for.
pub(crate) fn check_prefix(shared: &Shared, prefix: Option<&str>) -> Result<(), ApiError> {
    let characters = prefix.map_or(0, |prefix| prefix.chars().count());
    let most = shared.db.limits().prefix_chars;
    match characters > most {
        true => Err(ApiError::invalid(format!(
            "prefix has {characters} characters, expected at most {most}"
        ))),
        false => Ok(()),
    }
}

/// The bounds of a page of ids or namespaces: most, and by default.
pub(crate) fn list_limits(shared: &Shared) -> (usize, usize) {
    let most = shared.db.limits().list_page;
    (most, LIST_PAGE_MAX.min(most))
}

/// Counts of all namespaces.
pub(crate) fn stats(index: &Index, filter: Option<Filter>) -> Result<IndexStats, ApiError> {
    if filter.is_some_and(|filter| !filter.is_empty()) {
        return Err(ApiError::invalid(
            "describe_index_stats does not take a filter on a serverless index",
        ));
    }
    Ok(index.stats()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ids: Option<&[&str]>, all: bool, filter: Option<&str>) -> Result<Selector, String> {
        let ids = ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        let filter = filter.map(|json| Filter::from_json(json).unwrap());
        selector(Deletion { ids, all, filter }, 1000).map_err(|error| error.message)
    }

    #[test]
    fn a_delete_names_its_records_in_exactly_one_way() {
        let some = Some(r#"{"a":1}"#);
        assert!(matches!(chosen(Some(&["a"]), false, None), Ok(Selector::Ids(_))));
        assert!(matches!(chosen(Some(&[]), true, None), Ok(Selector::All)));
        assert!(matches!(chosen(None, false, some), Ok(Selector::Filter(_))));
        for (ids, all, filter, expected) in [
            (None, false, None, "neither ids"),
            (Some(&[][..]), false, None, "0 ids, expected 1 to 1000"),
            (Some(&["a", ""][..]), false, None, "ids[1]: id is empty"),
            (Some(&["a"][..]), true, None, "No explicit IDs allowed"),
            (None, true, some, "No filter allowed"),
            (None, false, Some(r#"{"a":{"$match_all":"x"}}"#), "only a search takes"),
            (Some(&["a"][..]), false, some, "both ids and filter"),
            (None, false, Some("{}"), "Delete with empty metadata filter is not allowed"),
        ] {
            let error = chosen(ids, all, filter).unwrap_err();
            assert!(error.contains(expected), "{ids:?} {all} {filter:?}: {error}");
        }
    }
}
