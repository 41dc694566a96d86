//! What is told of each request: a span that everything done for it is in, its
//! line in the log, its counts, and its line in the audit log.
//!
//! Never the query, the body or a header, which may hold what nobody else
//! should read.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, Method, request};
use tracing::Span;

use crate::audit::Entry;
use crate::call::{Answer, Site};
use crate::dispatch::{Ends, Found, Shared};
use crate::error::ApiError;
use crate::keys::ApiKey;

/// A request, as far as it is told of.
pub(crate) struct About {
    pub(crate) id: String,
    found: Found,
    method: Method,
    path: String,
    peer: IpAddr,
    /// The index whose listener was asked.
    uid: Option<std::sync::Arc<str>>,
}

impl About {
    pub(crate) fn new(site: &Site, parts: &request::Parts, id: String, found: Found) -> Self {
        let uid = match site {
            Site::Index(uid) => Some(uid.clone()),
            Site::Control | Site::Named => None,
        };
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        Self { id, found, method, path, peer: Ends::of(parts).peer, uid }
    }

    /// What all that is done for the request is in. It is an error's so that
    /// those are never without it, however little is logged.
    pub(crate) fn span(&self, shared: &Shared, headers: &HeaderMap) -> Span {
        let (route, _) = self.found.names();
        let span = tracing::error_span!(
            "request",
            request_id = %self.id,
            method = %self.method,
            path = %self.path,
            route,
            otel.kind = "server",
            otel.name = format_args!("{} {route}", self.method),
            http.response.status_code = tracing::field::Empty,
        );
        if let Some(join) = shared.config.joins_trace {
            join(&span, headers);
        }
        span
    }

    /// Tells of its end.
    pub(crate) fn note(
        &self,
        shared: &Shared,
        caller: Option<&ApiKey>,
        took: Duration,
        answer: &Answer,
    ) {
        let status = answer.as_ref().map_or_else(|error| error.status.http, |reply| reply.status);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Span::current().record("http.response.status_code", status);
        shared.metrics.answered(self.found.names(), status, took);
        shared.requests.note(took_us, status);
        let key = caller.map_or("", ApiKey::name);
        match answer {
            Ok(_) => tracing::debug!(status, took_us, key, "answered"),
            Err(error) if status < 500 || status == 501 => {
                tracing::info!(status, took_us, key, error = %error.message, "refused");
            }
            Err(error) => {
                let causes = causes(error);
                tracing::error!(status, took_us, key, error = %error.message, causes, "failed");
            }
        }
        self.audit(shared, caller, status, answer);
    }

    fn audit(&self, shared: &Shared, caller: Option<&ApiKey>, status: u16, answer: &Answer) {
        let Some(audit) = &shared.config.audit else { return };
        let is_refusal = matches!(status, 401 | 403);
        let is_change = matches!(self.found, Found::Route(route) if route.is_audited());
        if !is_refusal && !is_change {
            return;
        }
        let index = self.uid.as_ref().and_then(|uid| shared.db.index_by_id(uid).ok());
        let index = index.map(|index| index.info().name.to_string());
        let entry = Entry {
            request_id: &self.id,
            key: caller.map(ApiKey::name),
            peer: self.peer,
            index: index.as_deref(),
            method: self.method.as_str(),
            path: &self.path,
            status,
            // Other messages may quote what was sent.
            error: answer.as_ref().err().filter(|_| is_refusal).map(|error| &*error.message),
        };
        let clock = &*shared.config.clock;
        match is_refusal {
            true => audit.note_refusal(clock, clock.monotonic(), &entry),
            false => audit.note_change(clock, &entry),
        }
    }
}

/// The errors below the one that is answered.
fn causes(error: &ApiError) -> String {
    let mut below = error.cause.as_ref().and_then(std::error::Error::source);
    let mut causes = Vec::new();
    while let Some(cause) = below {
        causes.push(cause.to_string());
        below = cause.source();
    }
    causes.join(": ")
}
