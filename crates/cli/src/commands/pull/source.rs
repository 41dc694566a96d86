//! The routes of the public API that a pull reads, and their answers as far
//! as they matter. Lenient: what another server leaves out is not missed.

use std::collections::BTreeMap;

use crossbill_core::limits::{LIST_PAGE_MAX, PULL_URL_BYTES_MAX};
use crossbill_core::{ErrorKind, IndexShape, Metric, VectorType};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::batches::{cut, ids_max, parameter};
use super::caller::{Ask, Caller, Stop};
use crate::client::http::with_path;
use crate::error::{CliError, Result};
use crate::table::printable;

/// An index that is read.
pub(super) struct Source<'a> {
    pub(super) caller: &'a Caller,
    /// Its data plane.
    pub(super) host: Url,
}

/// Answer of `GET /indexes/{name}`.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    pub(super) host: String,
    dimension: Option<u32>,
    metric: Option<String>,
    vector_type: Option<String>,
}

/// Answer of `POST /describe_index_stats`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    #[serde(default)]
    pub(super) namespaces: BTreeMap<String, Summary>,
    dimension: Option<u32>,
    metric: Option<String>,
    vector_type: Option<String>,
}

/// One namespace of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    #[serde(default)]
    pub(super) vector_count: u64,
}

/// One page of ids.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) ids: Vec<String>,
    /// Where another one follows.
    pub(super) next: Option<String>,
}

/// What a listing answers.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    vectors: Vec<Item>,
    pagination: Option<Next>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
}

#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

/// What a fetch answers: records as text, so that one that cannot be read
/// does not spoil the others.
#[derive(Deserialize)]
struct Fetched {
    #[serde(default)]
    vectors: BTreeMap<String, Box<RawValue>>,
}

/// What a control plane says about an index.
pub(super) fn describe(
    caller: &Caller,
    control: &Url,
    name: &str,
) -> std::result::Result<Described, Stop> {
    let url = with_path(control, &["indexes", name]);
    caller.call(&Ask { method: Method::GET, url, body: None })
}

impl Source<'_> {
    /// Its namespaces and what it says about itself.
    pub(super) fn stats(&self) -> std::result::Result<Stats, Stop> {
        let url = with_path(&self.host, &["describe_index_stats"]);
        self.caller.call(&Ask { method: Method::POST, url, body: Some("{}") })
    }

    /// A page of a namespace's ids.
    pub(super) fn list(
        &self,
        namespace: &str,
        token: Option<&str>,
    ) -> std::result::Result<Page, Stop> {
        let mut url = with_path(&self.host, &["vectors", "list"]);
        let mut query = parameter("limit", &LIST_PAGE_MAX.to_string());
        for (name, value) in [
            ("namespace", Some(namespace).filter(|name| !name.is_empty())),
            ("paginationToken", token),
        ] {
            if let Some(value) = value {
                query.push('&');
                query.push_str(&parameter(name, value));
            }
        }
        url.set_query(Some(&query));
        let ask = Ask { method: Method::GET, url, body: None };
        let listed: Listed = self.caller.call(&ask).map_err(|stop| match stop {
            Stop::Failed(error) if token.is_some() && error.kind() == Some(ErrorKind::Invalid) => {
                Stop::TokenRefused(error)
            }
            other => other,
        })?;
        let next = listed.pagination.and_then(|page| page.next).filter(|next| !next.is_empty());
        if next.is_some() && next.as_deref() == token {
            return Err(CliError::failed(format!(
                "the source names the page after one of namespace {namespace:?} as that page \
                 again, expected another one"
            ))
            .into());
        }
        Ok(Page { ids: listed.vectors.into_iter().map(|item| item.id).collect(), next })
    }

    /// The ids of a page as they are fetched.
    pub(super) fn batches(
        &self,
        ids: Vec<String>,
        namespace: &str,
        dimension: u32,
    ) -> Vec<Vec<String>> {
        let base = with_path(&self.host, &["vectors", "fetch"]).as_str().len()
            + parameter("?namespace", namespace).len();
        cut(ids, ids_max(dimension), PULL_URL_BYTES_MAX.saturating_sub(base))
    }

    /// Records of a namespace as JSON; those that are not there are left out.
    pub(super) fn fetch(
        &self,
        namespace: &str,
        ids: &[String],
    ) -> std::result::Result<BTreeMap<String, Box<RawValue>>, Stop> {
        let mut url = with_path(&self.host, &["vectors", "fetch"]);
        let mut query: Vec<String> = ids.iter().map(|id| parameter("ids", id)).collect();
        if !namespace.is_empty() {
            query.push(parameter("namespace", namespace));
        }
        url.set_query(Some(&query.join("&")));
        let fetched: Fetched = self.caller.call(&Ask { method: Method::GET, url, body: None })?;
        Ok(fetched.vectors)
    }
}

/// What the source fixes about its records, from all that it says.
pub(super) fn shape(described: Option<&Described>, stats: &Stats) -> Result<IndexShape> {
    let dimension = described.and_then(|index| index.dimension).or(stats.dimension).unwrap_or(0);
    let said = |of_index: fn(&Described) -> &Option<String>, of_stats: &Option<String>| {
        described.and_then(|index| of_index(index).clone()).or_else(|| of_stats.clone())
    };
    let vector_type = match said(|index| &index.vector_type, &stats.vector_type).as_deref() {
        Some("dense") => VectorType::Dense,
        Some("sparse") => VectorType::Sparse,
        None if dimension > 0 => VectorType::Dense,
        None => VectorType::Sparse,
        Some(other) => {
            return Err(CliError::failed(format!(
                "the source holds vectors of type {:?}, expected dense or sparse",
                printable(other)
            )));
        }
    };
    if vector_type == VectorType::Sparse {
        return Ok(IndexShape::sparse());
    }
    let metric = said(|index| &index.metric, &stats.metric);
    let Some(known) = metric.as_deref().and_then(Metric::parse) else {
        let found = metric.map_or("none".to_owned(), |metric| format!("{:?}", printable(&metric)));
        return Err(CliError::failed(format!(
            "the source's metric is {found}, expected cosine, dotproduct or euclidean"
        ))
        .hint("with --from-index the control plane is asked, which names the metric"));
    };
    Ok(IndexShape::dense(dimension, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(json: &str) -> Stats {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_shape_is_taken_from_wherever_it_is_said() {
        let bare = stats(r#"{"namespaces":{"":{"vectorCount":3}},"dimension":4}"#);
        assert_eq!(bare.namespaces[""].vector_count, 3);
        assert!(shape(None, &bare).unwrap_err().to_string().contains("--from-index"));
        let described: Described = serde_json::from_str(
            r#"{"name":"x","host":"h","dimension":4,"metric":"dotproduct","vector_type":"dense"}"#,
        )
        .unwrap();
        let expected = IndexShape::dense(4, Metric::DotProduct);
        assert_eq!(shape(Some(&described), &bare).unwrap(), expected);
        let full = stats(r#"{"dimension":4,"metric":"dotproduct","vectorType":"dense"}"#);
        assert_eq!(shape(None, &full).unwrap(), expected);
        let sparse = stats(r#"{"vectorType":"sparse","metric":"dotproduct"}"#);
        assert_eq!(shape(None, &sparse).unwrap(), IndexShape::sparse());
        assert!(shape(None, &stats(r#"{"vectorType":"other"}"#)).is_err());
        assert!(shape(None, &stats(r#"{"dimension":4,"metric":"hamming"}"#)).is_err());
    }
}
