//! A request as a route's function sees it, and the reply it gives. Parsing
//! that all routes share: path and query parameters, JSON, pages, versions.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::HeaderMap;
use bytes::Bytes;
use crossbill_core::{Error, Filter, Metadata, NamespaceName, RequestLimits};
use crossbill_db::{Index, Lsn};
use crossbill_wire::{ApiVersion, Status};
use percent_encoding::percent_decode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::access::{Caller, presented_key};
use crate::dispatch::Shared;
use crate::error::ApiError;
use crate::pages::{AskedPage, Listing, PageRequest};

/// Which listener a request came in on.
#[derive(Debug, Clone)]
pub(crate) enum Site {
    /// The control plane's.
    Control,
    /// That of the index with this uid.
    Index(Arc<str>),
    /// The control plane's, for the index that the path names: it becomes that
    /// index's once the key was checked.
    Named,
}

/// What every route's function gives.
pub(crate) type Answer = Result<Reply, ApiError>;

/// A request whose key was checked and whose body has arrived.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) site: Site,
    /// Whose key it came with.
    pub(crate) caller: Caller,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    /// The authority of an HTTP/2 request, which has no `Host` header.
    pub(crate) authority: Option<String>,
    pub(crate) local: SocketAddr,
    pub(crate) peer: IpAddr,
    pub(crate) body: Bytes,
    /// Set once nobody waits for the answer any more.
    pub(crate) unwanted: Arc<AtomicBool>,
}

impl Call {
    /// An error where the caller has gone or its time is over: what has not
    /// begun then is not begun. The last look is before the database is
    /// called; from there on a call runs to its end.
    pub(crate) fn check_wanted(&self) -> Result<(), ApiError> {
        match self.unwanted.load(Ordering::Acquire) {
            true => Err(ApiError::with_status(Status::CANCELLED, "nobody waits for the answer")),
            false => Ok(()),
        }
    }

    /// The index whose listener was asked.
    pub(crate) fn index(&self) -> Result<Arc<Index>, ApiError> {
        match &self.site {
            Site::Index(uid) => Ok(self.shared.db.index_by_id(uid)?),
            Site::Control | Site::Named => Err(ApiError::not_found("no index listens here")),
        }
    }

    /// The same, for a call that documents do not take.
    pub(crate) fn vectors(&self) -> Result<Arc<Index>, ApiError> {
        let index = self.index()?;
        match index.documents() {
            None => Ok(index),
            Some(_) => Err(ApiError::invalid(
                "this index holds documents, expected the calls under \
                 /namespaces/{namespace}/documents",
            )),
        }
    }

    /// A path parameter, decoded.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// A query parameter, where it is given and not empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A query parameter that may be repeated, in order.
    pub(crate) fn query_all(&self, name: &str) -> Vec<String> {
        let given = self.query.iter().filter(|(key, _)| key == name);
        given.map(|(_, value)| value.clone()).collect()
    }

    /// A query parameter that is a number.
    pub(crate) fn query_number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.query(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::invalid(format!("{name} is {text:?}, expected a whole number"))
                })
            })
            .transpose()
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The API version spoken.
    pub(crate) fn version(&self) -> ApiVersion<'_> {
        ApiVersion::of(self.header("x-pinecone-api-version"))
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        self.json_by(|body| serde_json::from_slice(body))
    }

    /// The body as JSON that `read` reads.
    pub(crate) fn json_by<T>(
        &self,
        read: fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, ApiError> {
        let control = matches!(self.site, Site::Control);
        let status = match control {
            true => Status::UNPROCESSABLE,
            false => Status::of(crossbill_core::ErrorKind::Invalid),
        };
        if self.body.is_empty() {
            return Err(ApiError::with_status(status, "request body is empty, expected JSON"));
        }
        let body = check_object(&self.body).and_then(|()| read(&self.body));
        self.check_wanted()?;
        body.map_err(|error| {
            let message = match (control, error.is_data()) {
                (true, _) => {
                    format!("Failed to deserialize the JSON body into the target type: {error}")
                }
                (false, true) => format!("request body: {error}"),
                (false, false) => format!("request body is malformed JSON: {error}"),
            };
            ApiError::with_status(status, message)
        })
    }

    /// The body as JSON that may hold secrets: an error says where it is and
    /// never what stands there.
    pub(crate) fn secret_json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body = check_object(&self.body).and_then(|()| serde_json::from_slice(&self.body));
        body.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    "has a field that is unknown, missing or of \
                                                      another type"
                }
                _ => "is malformed JSON",
            };
            let message = format!("request body {what} at line {line} column {column}");
            ApiError::with_status(Status::UNPROCESSABLE, message)
        })
    }

    /// The limits of requests that are in force.
    pub(crate) fn limits(&self) -> &RequestLimits {
        self.shared.db.limits()
    }

    /// A filter, where there is one.
    pub(crate) fn filter(&self, raw: Option<&RawValue>) -> Result<Option<Filter>, ApiError> {
        raw.map(|raw| Filter::from_json_within(raw.get(), self.limits()))
            .transpose()
            .map_err(|error| Error::from(error).into())
    }

    /// Metadata, where there is any.
    pub(crate) fn metadata(&self, raw: Option<&RawValue>) -> Result<Option<Metadata>, ApiError> {
        raw.map(|raw| Metadata::from_json_within(raw.get(), self.limits().metadata_bytes))
            .transpose()
            .map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// What `limit`, `prefix` and `paginationToken` say of a page.
    pub(crate) fn asked_page(&self) -> Result<AskedPage<'_>, ApiError> {
        Ok(AskedPage {
            token: self.query("paginationToken"),
            limit: self.query_number("limit")?,
            prefix: self.query("prefix"),
        })
    }

    /// The page of `listing` that is asked for, within the bounds of a page:
    /// most, and by default.
    pub(crate) fn page(
        &self,
        listing: Listing<'_>,
        limits: (usize, usize),
    ) -> Result<PageRequest, ApiError> {
        PageRequest::new(&self.shared.page_key, listing, self.asked_page()?, limits)
    }

    /// Whether the caller may know of the index with this name.
    pub(crate) fn may_see(&self, index: &str) -> bool {
        self.caller.as_ref().is_none_or(|key| key.is_for(index))
    }

    /// Who asks, as far as telling a retry needs it: address and key, hashed
    /// together.
    pub(crate) fn caller(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.peer.to_string());
        hash.update([0]);
        hash.update(presented_key(&self.headers).unwrap_or_default());
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A derived reader takes a list for an object's fields in their order, a form
/// that the API does not have.
fn check_object(body: &[u8]) -> serde_json::Result<()> {
    match body.trim_ascii_start().first() {
        Some(b'[') => Err(serde::de::Error::custom("invalid type: a list, expected an object")),
        _ => Ok(()),
    }
}

/// Checks a page size.
pub(crate) fn check_limit(limit: usize, limit_max: usize) -> Result<(), ApiError> {
    if !(1..=limit_max).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}, expected 1 to {limit_max}")));
    }
    Ok(())
}

/// A namespace as a request writes it: absent and empty are the default one.
pub(crate) fn namespace(text: Option<&str>) -> Result<NamespaceName, ApiError> {
    NamespaceName::new(text.unwrap_or("")).map_err(|error| Error::from(error).into())
}

/// The pairs of a URL's query, decoded: `+` is a space, `%XX` a byte.
pub(crate) fn query_pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode(spaced.as_bytes())
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| ApiError::invalid("the URL's query is not UTF-8 once decoded"))
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(key)?, decoded(value)?))
        })
        .collect()
}

/// What a route's function answers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// What the body is, where there is one.
    pub(crate) content: &'static str,
    /// In that form, or nothing.
    pub(crate) body: Vec<u8>,
    /// Header names and the number that each carries.
    pub(crate) lsn: Option<([&'static str; 2], u64)>,
    /// Further headers, the same each time.
    pub(crate) fixed: &'static [(&'static str, &'static str)],
}

/// Headers that number a write. Both names, for clients of different ages read
/// different ones.
pub(crate) const WROTE: [&str; 2] = ["x-pinecone-request-lsn", "x-pinecone-lsn-committed"];
/// Headers that number the last write that a read has seen.
pub(crate) const SAW: [&str; 2] = ["x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled"];
/// What nearly all bodies are.
pub(crate) const JSON: &str = "application/json";

impl Reply {
    /// A body of any form.
    pub(crate) fn of(status: u16, content: &'static str, body: Vec<u8>) -> Self {
        Self { status, content, body, lsn: None, fixed: &[] }
    }

    /// `value` as JSON.
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(value)
            .map_err(|error| ApiError::internal(format!("an answer cannot be written: {error}")))?;
        Ok(Self::of(status, JSON, body))
    }

    /// `{}`.
    pub(crate) fn empty_object() -> Answer {
        Ok(Self::of(200, JSON, b"{}".to_vec()))
    }

    /// No body.
    pub(crate) fn bare(status: u16) -> Answer {
        Ok(Self::of(status, JSON, Vec::new()))
    }

    /// Says which write this was.
    pub(crate) fn wrote(mut self, lsn: Lsn) -> Self {
        self.lsn = Some((WROTE, lsn.0));
        self
    }

    /// Says up to which write this read has seen.
    pub(crate) fn saw(mut self, lsn: Lsn) -> Self {
        self.lsn = Some((SAW, lsn.0));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_once_and_commas_stay() {
        let pairs = query_pairs("ids=a%20b&ids=y%2Cz,w&ids=c+d&namespace=&x").unwrap();
        let expected =
            [("ids", "a b"), ("ids", "y,z,w"), ("ids", "c d"), ("namespace", ""), ("x", "")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(query_pairs("a=%2525").unwrap()[0].1, "%25");
        assert!(query_pairs("a=%FF").is_err());
    }
}
