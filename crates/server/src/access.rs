//! Who asks, and whether that may be: the key, how often it asks, its role
//! and the indexes that it is for. All of it is known from a request's head,
//! and nothing is learnt without a key.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header, request};
use crossbill_core::ErrorKind;
use crossbill_wire::Status;

use crate::ServerConfig;
use crate::call::Site;
use crate::dispatch::Shared;
use crate::error::ApiError;
use crate::host::is_loopback;
use crate::keys::{ApiKey, Role};
use crate::rate::Bucket;
use crate::routes::{Access, Reach, Route};

/// The key that a request came with; none where none is asked for.
pub(crate) type Caller = Option<Arc<ApiKey>>;

/// What callers without a key have used of the server's limit.
#[derive(Debug, Default)]
pub(crate) struct Unnamed(Bucket);

/// Who calls. What is open, or no route at all, differs in nothing else.
pub(crate) fn identify(
    config: &ServerConfig,
    access: Access,
    parts: &request::Parts,
) -> Result<Caller, ApiError> {
    if access == Access::Open {
        return Ok(None);
    }
    if config.keys.is_empty() {
        check_local(config, parts)?;
        return Ok(None);
    }
    let key = presented_key(&parts.headers).and_then(|key| config.keys.find(key));
    key.map(Some).ok_or_else(ApiError::unauthenticated)
}

/// Counts the request as one of the caller's.
pub(crate) fn check_rate(shared: &Shared, caller: &Caller) -> Result<(), ApiError> {
    let own = caller.as_ref().and_then(|key| key.limit());
    let Some(limit) = own.or(shared.config.rate_limit) else { return Ok(()) };
    let bucket = caller.as_ref().map_or(&shared.unnamed.0, |key| key.bucket());
    match bucket.take(limit, shared.config.clock.monotonic()) {
        true => Ok(()),
        false => Err(ApiError::with_status(
            Status::of(ErrorKind::Exhausted),
            "too many requests in a second, try again in one",
        )),
    }
}

/// An error where the key may not do what the route does.
pub(crate) fn check_role(caller: &Caller, route: &Route) -> Result<(), ApiError> {
    match (caller, route.access) {
        (Some(key), Access::Key(role)) if key.role() < role => Err(ApiError::forbidden(format!(
            "the key {:?} has the role {}, expected {}",
            key.name(),
            key.role(),
            expected(role),
        ))),
        _ => Ok(()),
    }
}

fn expected(least: Role) -> String {
    let enough: Vec<_> = Role::ALL.into_iter().filter(|role| *role >= least).collect();
    enough.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

/// An error where the key is for other indexes. Says the same whether or not
/// there is the one that is asked for.
pub(crate) fn check_reach(
    shared: &Shared,
    caller: &Caller,
    route: &Route,
    site: &Site,
    params: &[(String, String)],
) -> Result<(), ApiError> {
    let Some(key) = caller.as_ref().filter(|key| !key.is_for_all()) else { return Ok(()) };
    let param = |name: &str| {
        let found = params.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str()).to_owned()
    };
    let is_for = match (route.reach(), site) {
        (Reach::Nothing, _) => true,
        (Reach::Server, _) => false,
        (Reach::Index, Site::Control) => key.is_for(&param("name")),
        (Reach::Index, Site::Named) => key.is_for(&param("index")),
        (Reach::Index, Site::Index(uid)) => {
            let index = shared.db.index_by_id(uid).ok();
            index.is_some_and(|index| key.is_for(index.info().name.as_str()))
        }
    };
    match is_for {
        true => Ok(()),
        false => Err(ApiError::forbidden(format!(
            "the key {:?} is for some indexes only, expected one that is for {}",
            key.name(),
            if route.reach() == Reach::Index { "this one" } else { "the whole server" },
        ))),
    }
}

/// Without a key, being on this machine is what lets a caller in. A web page
/// in a browser here is not: its requests carry the page's origin, or, where
/// its name was pointed at this machine, that name as the host.
fn check_local(config: &ServerConfig, parts: &request::Parts) -> Result<(), ApiError> {
    if config.insecure {
        return Ok(());
    }
    let host = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = host.or(parts.uri.authority().map(|authority| authority.as_str().as_bytes()));
    let origin = parts.headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let foreign = [host, origin]
        .into_iter()
        .flatten()
        .find(|text| !std::str::from_utf8(text).is_ok_and(is_loopback));
    match foreign {
        None => Ok(()),
        Some(name) => Err(ApiError::forbidden(format!(
            "the request is from or for {:?}, expected a loopback address: \
             without an API key only this machine is served",
            String::from_utf8_lossy(name)
        ))),
    }
}

/// The key that a request presents, from either header.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("api-key") {
        return Some(key.as_bytes());
    }
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_either_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(presented_key(&headers), None);
        headers.insert(header::AUTHORIZATION, "bearer  k1".parse().unwrap());
        assert_eq!(presented_key(&headers), Some(&b"k1"[..]));
        headers.insert(header::AUTHORIZATION, "Basic k1".parse().unwrap());
        assert_eq!(presented_key(&headers), None);
        headers.insert("Api-Key", "k2".parse().unwrap());
        assert_eq!(presented_key(&headers), Some(&b"k2"[..]));
    }
}
