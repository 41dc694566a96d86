//! What happens around every route's function: the key is checked, the body
//! read within its bounds, the function run on a blocking thread with a
//! deadline, its panic caught, its answer rendered and logged.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::{HeaderName, HeaderValue, Method, header, request};
use axum::response::Response;
use axum::routing::{MethodFilter, any, on};
use crossbill_db::Database;
use crossbill_wire::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use crate::access::{Caller, Unnamed};
use crate::body::{Packing, announced, collect, discard, inflate, packing};
use crate::call::{Answer, Call, JSON, Reply, Site, query_pairs};
use crate::error::ApiError;
use crate::grpc::{self, message};
use crate::keys::Role;
use crate::load::Requests;
use crate::metrics::{self, Metrics};
use crate::pages::PageKey;
use crate::ports::Ports;
use crate::request_log::About;
use crate::routes::{Access, BELOW_INDEX, Plane, Protocol, ROUTES, Route, elsewhere};
use crate::{ServerConfig, access};

/// What every request may use.
pub(crate) struct Shared {
    pub(crate) db: Arc<Database>,
    pub(crate) config: ServerConfig,
    pub(crate) ports: Ports,
    /// What is counted for whoever scrapes it.
    pub(crate) metrics: Metrics,
    /// What the tokens of listings are signed with.
    pub(crate) page_key: PageKey,
    /// What has become of the requests so far.
    pub(crate) requests: Requests,
    pub(crate) unnamed: Unnamed,
    /// False before every listener is open and again once the server drains.
    pub(crate) ready: AtomicBool,
    /// One permit per request that works.
    work: Arc<Semaphore>,
    /// One permit per KiB of request body held.
    body_memory: Arc<Semaphore>,
}

/// The two ends of the connection that a request came in on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: IpAddr,
}

impl Ends {
    /// Those of the request.
    pub(crate) fn of(parts: &request::Parts) -> Self {
        let unknown = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let known = parts.extensions.get::<Ends>().copied();
        known.unwrap_or(Ends { local: unknown, peer: unknown.ip() })
    }
}

/// What the router found for a request.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    Route(&'static Route),
    NoRoute,
    WrongMethod,
}

impl Found {
    /// The route and the method that it is counted under: rows of the table,
    /// never what a caller wrote.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Found::Route(route) => (route.path, route.method.as_str()),
            Found::NoRoute | Found::WrongMethod => (metrics::NO_ROUTE, metrics::NO_ROUTE),
        }
    }

    /// Who may know what there is: of what is no route, any key.
    fn access(self, protocol: Protocol) -> Access {
        match self {
            Found::Route(route) if route.protocol == protocol => route.access,
            Found::Route(_) | Found::NoRoute | Found::WrongMethod => Access::Key(Role::Read),
        }
    }
}

impl Shared {
    pub(crate) fn new(db: Arc<Database>, config: ServerConfig, ports: Ports) -> Self {
        let work = Arc::new(Semaphore::new(config.concurrent_requests_max.max(1)));
        // A single body always fits, or it could never be read.
        let bytes = config.request_memory_bytes.max(config.request_bytes_max);
        let body_memory = Arc::new(Semaphore::new(kib(bytes) as usize));
        let page_key = PageKey::new(db.page_key());
        let requests = Requests::new(config.clock.monotonic());
        Self {
            metrics: Metrics::new(&db),
            db,
            config,
            ports,
            page_key,
            requests,
            unnamed: Unnamed::default(),
            ready: AtomicBool::new(false),
            work,
            body_memory,
        }
    }

    /// Waits until a body of so many bytes may be held.
    pub(crate) async fn body_memory(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let bytes = bytes.clamp(1, self.config.request_bytes_max.max(1));
        self.permits(&self.body_memory, kib(bytes)).await
    }

    /// Waits for `permits`, for half of a request's time at most.
    async fn permits(
        &self,
        semaphore: &Arc<Semaphore>,
        permits: u32,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let acquire = semaphore.clone().acquire_many_owned(permits);
        match tokio::time::timeout(self.config.request_timeout / 2, acquire).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(ApiError::unavailable("the server is busy, try again")),
        }
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4)
}

/// The router of one listener. The control plane's has the routes of every
/// index, too, below a path that names it.
pub(crate) fn router(shared: &Arc<Shared>, site: &Site) -> Router {
    let own = routes(shared, site, "", |route| plane(site).has(route.plane));
    let below = match site {
        Site::Control => {
            let named = routes(shared, &Site::Named, BELOW_INDEX, Route::is_below_index);
            let rest = any(handler(shared, &Site::Named, Found::NoRoute));
            named.route(&format!("{BELOW_INDEX}/{{*rest}}"), rest)
        }
        Site::Index(_) | Site::Named => Router::new(),
    };
    own.merge(below).fallback(handler(shared, site, Found::NoRoute))
}

/// The routes that are `wanted`, their paths behind `prefix`.
fn routes(
    shared: &Arc<Shared>,
    site: &Site,
    prefix: &str,
    wanted: impl Fn(&Route) -> bool,
) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| wanted(route)) {
        let filter = MethodFilter::try_from(route.method.clone())
            .expect("the table has standard methods only");
        let answered = on(filter, handler(shared, site, Found::Route(route)));
        router = router.route(&format!("{prefix}{}", route.path), answered);
    }
    router.method_not_allowed_fallback(handler(shared, site, Found::WrongMethod))
}

fn handler(
    shared: &Arc<Shared>,
    site: &Site,
    found: Found,
) -> impl Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>>
+ Clone
+ Send
+ Sync
+ 'static
+ use<> {
    let (shared, site) = (shared.clone(), site.clone());
    move |request: Request| Box::pin(dispatch(shared.clone(), site.clone(), found, request))
}

fn plane(site: &Site) -> Plane {
    match site {
        Site::Control => Plane::Control,
        Site::Index(_) | Site::Named => Plane::Data,
    }
}

async fn dispatch(shared: Arc<Shared>, site: Site, found: Found, request: Request) -> Response {
    let started = shared.config.clock.monotonic();
    let id = shared.config.ids.next_id().to_string();
    let (parts, body) = request.into_parts();
    let about = About::new(&site, &parts, id, found);
    let (plane, protocol) = (plane(&site), grpc::spoken(&parts));
    let _in_flight = shared.metrics.begin();
    let span = about.span(&shared, &parts.headers);
    let caller = access::identify(&shared.config, found.access(protocol), &parts);
    let known = caller.as_ref().ok().cloned().flatten();
    // A caller may wait for less than it is given, not for more.
    let patience = grpc::timeout(&parts.headers).ok().flatten().unwrap_or(Duration::MAX);
    let patience = patience.min(shared.config.request_timeout);
    let work = answer(shared.clone(), site, found, protocol, caller, parts, body);
    let in_time = tokio::time::timeout(patience, work.instrument(span.clone())).await;
    let took = shared.config.clock.monotonic().saturating_sub(started);
    let answer = match in_time {
        // The timer counts in milliseconds, a caller may in less.
        Ok(answer) if took <= patience => answer,
        _ => Err(ApiError::with_status(
            Status::DEADLINE_EXCEEDED,
            format!("the request took longer than {} seconds", patience.as_secs_f32()),
        )),
    };
    span.in_scope(|| about.note(&shared, known.as_deref(), took, &answer));
    match protocol {
        Protocol::Rest => render(plane, &about.id, answer),
        Protocol::Grpc => grpc::render(&about.id, answer),
    }
}

async fn answer(
    shared: Arc<Shared>,
    site: Site,
    found: Found,
    protocol: Protocol,
    caller: Result<Caller, ApiError>,
    mut parts: request::Parts,
    body: Body,
) -> Answer {
    let admitted = match admit(&shared, plane(&site), found, protocol, caller, &parts) {
        Ok((route, packing, caller)) => call(shared.clone(), site, route, caller, &mut parts)
            .await
            .map(|call| (route, packing, call)),
        Err(error) => Err(error),
    };
    let (route, packing, call) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            discard(body).await;
            return Err(error);
        }
    };
    if route.access == Access::Open {
        return (route.run)(&call);
    }
    let received = receive(&shared, protocol, packing, &parts, body).await?;
    let permit = shared.permits(&shared.work, 1).await?;
    let _wanted = Wanted(call.unwanted.clone());
    let bytes_max = shared.config.request_bytes_max;
    // The permits go along: when the deadline passes the function still runs,
    // and what it holds is still counted.
    on_blocking_thread(route.path, move || {
        let _held = (permit, received.memory);
        call.check_wanted()?;
        let body = inflate(received.packing, received.bytes, bytes_max)?;
        (route.run)(&Call { body, ..call })
    })
    .await
}

/// While this is held somebody waits for the answer: the deadline or the end
/// of the connection drops it.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A request's body as sent, with the memory that it takes.
pub(crate) struct Received {
    pub(crate) bytes: bytes::Bytes,
    pub(crate) packing: Packing,
    pub(crate) memory: Option<OwnedSemaphorePermit>,
}

/// Reads the body, where the request has one.
async fn receive(
    shared: &Shared,
    protocol: Protocol,
    packing: Packing,
    parts: &request::Parts,
    body: Body,
) -> Result<Received, ApiError> {
    if protocol == Protocol::Grpc {
        return message::receive(shared, packing, body).await;
    }
    if parts.method != Method::POST && parts.method != Method::PATCH {
        return Ok(Received { bytes: bytes::Bytes::new(), packing, memory: None });
    }
    let bytes_max = shared.config.request_bytes_max;
    let announced = announced(&parts.headers);
    let memory = shared.body_memory(announced.unwrap_or(bytes_max)).await?;
    let bytes = collect(body, announced, bytes_max).await?;
    Ok(Received { bytes, packing, memory: Some(memory) })
}

/// Whether the request may go on, from its head alone; the key comes first,
/// so that without one nothing can be learnt.
fn admit(
    shared: &Shared,
    plane: Plane,
    found: Found,
    protocol: Protocol,
    caller: Result<Caller, ApiError>,
    parts: &request::Parts,
) -> Result<(&'static Route, Packing, Caller), ApiError> {
    let caller = caller?;
    if found.access(protocol) != Access::Open {
        access::check_rate(shared, &caller)?;
    }
    match (protocol, found) {
        (Protocol::Rest, Found::Route(route)) if route.protocol == protocol => {
            access::check_role(&caller, route)?;
            Ok((route, packing(&parts.headers)?, caller))
        }
        (Protocol::Rest, Found::Route(_)) => Err(ApiError::with_status(
            Status::UNSUPPORTED_MEDIA_TYPE,
            format!("{} is a gRPC method: send application/grpc over HTTP/2", parts.uri.path()),
        )),
        (Protocol::Rest, Found::WrongMethod) => Err(ApiError::with_status(
            Status::METHOD_NOT_ALLOWED,
            format!("{} does not take {}", parts.uri.path(), parts.method),
        )),
        (Protocol::Rest, Found::NoRoute) => Err(no_route(plane, parts)),
        (Protocol::Grpc, Found::Route(route)) if route.protocol == protocol => {
            access::check_role(&caller, route)?;
            grpc::timeout(&parts.headers)?;
            Ok((route, message::packing(&parts.headers)?, caller))
        }
        // A method that is unknown has a status of its own over gRPC.
        (Protocol::Grpc, _) => {
            Err(ApiError::with_status(Status::NO_METHOD, no_route(plane, parts).message))
        }
    }
}

/// Runs `work` where it may block; its panic is an error like others.
async fn on_blocking_thread(
    path: &'static str,
    work: impl FnOnce() -> Answer + Send + 'static,
) -> Answer {
    let span = tracing::Span::current();
    let work = move || span.in_scope(work);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let what = if error.is_panic() { "panicked" } else { "was cancelled" };
        Err(ApiError::internal(format!("internal server error: {path} {what}")))
    })
}

/// Everything of the call but its body.
async fn call(
    shared: Arc<Shared>,
    site: Site,
    route: &Route,
    caller: Caller,
    parts: &mut request::Parts,
) -> Result<Call, ApiError> {
    let query = query_pairs(parts.uri.query().unwrap_or(""))?;
    let params = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|error| ApiError::invalid(format!("the URL's path cannot be read: {error}")))?
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect::<Vec<_>>();
    access::check_reach(&shared, &caller, route, &site, &params)?;
    let site = site.resolved(&shared, &params)?;
    let ends = Ends::of(parts);
    Ok(Call {
        shared,
        site,
        caller,
        params,
        query,
        authority: parts.uri.authority().map(|authority| authority.to_string()),
        local: ends.local,
        peer: ends.peer,
        headers: parts.headers.clone(),
        body: bytes::Bytes::new(),
        unwanted: Arc::default(),
    })
}

fn no_route(plane: Plane, parts: &request::Parts) -> ApiError {
    let path = parts.uri.path();
    match elsewhere(plane, path) {
        Some(hint) => ApiError::not_found(format!("there is no {path} here: {hint}")),
        None => ApiError::not_found(format!("there is no {path} here")),
    }
}

fn render(plane: Plane, id: &str, answer: Answer) -> Response {
    let (reply, retry, allow) = match answer {
        Ok(reply) => (reply, false, None),
        Err(error) => {
            let retry = error.status.is_temporary();
            (Reply::of(error.status.http, JSON, error.body(plane)), retry, error.allow)
        }
    };
    let empty = reply.body.is_empty();
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = axum::http::StatusCode::from_u16(reply.status)
        .expect("every status here is a constant of the API");
    let headers = response.headers_mut();
    if !empty {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content));
    }
    if retry {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(methods) = allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-pinecone-request-id", id);
    }
    for (name, value) in reply.fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Some((names, lsn)) = reply.lsn {
        for name in names {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(lsn));
        }
    }
    response
}

impl Site {
    /// The index's site, where the path names one.
    fn resolved(self, shared: &Shared, params: &[(String, String)]) -> Result<Site, ApiError> {
        let Site::Named = self else { return Ok(self) };
        let name = params.iter().find(|(key, _)| key == "index").map_or("", |(_, name)| name);
        let info = shared.db.describe_index(name)?;
        Ok(Site::Index(info.uid.as_str().into()))
    }
}

impl Shared {
    /// Requests that work now.
    pub(crate) fn working(&self) -> u64 {
        let most = self.config.concurrent_requests_max.max(1);
        most.saturating_sub(self.work.available_permits()) as u64
    }

    /// Whether the server takes requests.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered() {
        let error = on_blocking_thread("/query", || panic!("on purpose")).await.unwrap_err();
        assert_eq!(error.status.http, 500);
        assert_eq!(error.message, "internal server error: /query panicked");
    }
}
