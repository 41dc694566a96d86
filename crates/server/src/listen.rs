//! Listeners and connections: HTTP/1.1 and HTTP/2 on the same port, over TLS
//! where there is a certificate (HTTP/2 by ALPN) and plainly where there is none
//! (HTTP/2 with prior knowledge), time limits on a connection that does not
//! move, and an orderly end. Knows nothing of routes.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::ServerConfig;
use crate::dispatch::Ends;
use crate::tls::Tls;

/// Connections of one listener; more wait to be accepted.
const CONNECTIONS_MAX: usize = 8192;
/// How often a connection is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of an HTTP/2 request's headers, its path among them.
const HTTP2_HEADER_BYTES_MAX: u32 = 1024 * 1024;
/// Bytes of an HTTP/1.1 request's head. (A path and query over 65,534 bytes
/// are refused by the HTTP library, with 414.)
const HTTP1_HEAD_BYTES_MAX: usize = 1024 * 1024;
/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 22;
/// What a client hears that speaks plainly where TLS is spoken.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\n\r\nthis port speaks TLS: use https://\n";

/// A listener that is open.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Completes when the socket is closed; connections may outlive it.
    closed: oneshot::Receiver<()>,
    /// Completes when the last connection has ended.
    task: JoinHandle<()>,
}

impl Listening {
    /// Stops accepting and tells connections to end, without waiting.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops, and waits until the port is free. For blocking threads.
    pub(crate) fn close_blocking(self) {
        self.stop();
        // An error means that the task is gone, and the socket with it.
        let _ = self.closed.blocking_recv();
    }

    /// Stops, and waits until connections have ended; those that are still
    /// there after `patience` are cut.
    pub(crate) async fn drain(mut self, patience: Duration) {
        self.stop();
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Takes an address, without accepting yet.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Starts accepting. Must run within a tokio runtime.
pub(crate) fn listen(
    listener: std::net::TcpListener,
    router: Router,
    config: &ServerConfig,
) -> Listening {
    let address = listener.local_addr().unwrap_or(config.listen);
    let (stop, stopped) = watch::channel(false);
    let (closing, closed) = oneshot::channel();
    let limits = Timeouts { header: config.header_timeout, idle: config.idle_timeout };
    let tls = config.tls.as_ref().map(Tls::acceptor);
    let serving = Serving { router, tls, timeouts: limits };
    let task = tokio::spawn(accept(listener, serving, stopped, closing));
    Listening { address, stop, closed, task }
}

/// What every connection of a listener needs.
#[derive(Clone)]
struct Serving {
    router: Router,
    tls: Option<TlsAcceptor>,
    timeouts: Timeouts,
}

#[derive(Debug, Clone, Copy)]
struct Timeouts {
    header: Duration,
    idle: Duration,
}

async fn accept(
    listener: std::net::TcpListener,
    serving: Serving,
    mut stopped: watch::Receiver<bool>,
    closing: oneshot::Sender<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be used"),
    };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept_one(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (serving, stopped) = (serving.clone(), stopped.clone());
                connections.spawn(async move {
                    serving.connection(stream, stopped).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Nobody may wait for it, as in a drain.
    let _ = closing.send(());
    while connections.join_next().await.is_some() {}
}

async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

impl Serving {
    /// Serves a connection to its end.
    async fn connection(self, stream: TcpStream, mut stopped: watch::Receiver<bool>) {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
        let ends = Ends { local, peer: peer.ip() };
        // Answers are written whole; waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its send delay");
        }
        let Self { router, tls, timeouts } = self;
        let Some(tls) = tls else {
            return serve_connection(stream, ends, router, timeouts, stopped).await;
        };
        let secured = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            secured = tokio::time::timeout(timeouts.header, handshake(tls, stream)) => secured,
        };
        match secured {
            Ok(Ok(stream)) => serve_connection(stream, ends, router, timeouts, stopped).await,
            Ok(Err(error)) => tracing::debug!(%error, %peer, "a connection is not secured"),
            Err(_) => tracing::debug!(%peer, "a connection took too long to be secured"),
        }
    }
}

async fn handshake(
    tls: TlsAcceptor,
    mut stream: TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        return Err(io::Error::other("the client does not speak TLS"));
    }
    tls.accept(stream).await
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ends: Ends,
    router: Router,
    timeouts: Timeouts,
    mut stopped: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity::default());
    let service = Counted { router, ends, activity: activity.clone() };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(HTTP1_HEAD_BYTES_MAX);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(HTTP2_HEADER_BYTES_MAX);
    let io = TokioIo::new(Watched { stream, activity: activity.clone() });
    let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(service)));
    let mut patience = Patience::default();
    let mut stopping = false;
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, peer = %ends.peer, "a connection broke");
                }
                return;
            }
            _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = tick.tick() => {
                if patience.ends(&activity, timeouts) {
                    // A client that keeps HTTP/2 connections is told, so that
                    // what it sends at this moment goes elsewhere.
                    if stopping || !activity.http2.load(Ordering::Acquire) {
                        return;
                    }
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// What a connection is doing, as its socket and its service see it.
#[derive(Debug, Default)]
struct Activity {
    requests: AtomicUsize,
    served: AtomicBool,
    http2: AtomicBool,
    /// Bytes came in since the last request ended.
    head_started: AtomicBool,
    /// Bytes went out since the last tick.
    wrote: AtomicBool,
}

/// How long a connection has not moved, in ticks.
#[derive(Debug, Default)]
struct Patience {
    head: u32,
    idle: u32,
}

impl Patience {
    /// Counts a tick; true where the connection has used up its time: to send
    /// a request's head, or with no request at all.
    fn ends(&mut self, activity: &Activity, timeouts: Timeouts) -> bool {
        if activity.requests.load(Ordering::Acquire) > 0 {
            *self = Self::default();
            return false;
        }
        if activity.wrote.swap(false, Ordering::AcqRel) {
            self.idle = 0;
        }
        let served = activity.served.load(Ordering::Acquire);
        let head = !served
            || (activity.head_started.load(Ordering::Acquire)
                && !activity.http2.load(Ordering::Acquire));
        self.head = if head { self.head + 1 } else { 0 };
        self.idle += 1;
        TICK * self.head > timeouts.header || TICK * self.idle > timeouts.idle
    }
}

/// The router, with the requests under way counted.
#[derive(Clone)]
struct Counted {
    router: Router,
    ends: Ends,
    activity: Arc<Activity>,
}

/// Ends the count even where the request's future is dropped.
struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.head_started.store(false, Ordering::Release);
        self.0.served.store(true, Ordering::Release);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl tower::Service<Request<hyper::body::Incoming>> for Counted {
    type Response = axum::response::Response;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<hyper::body::Incoming>) -> Self::Future {
        self.activity.requests.fetch_add(1, Ordering::AcqRel);
        let under_way = UnderWay(self.activity.clone());
        self.activity.http2.store(request.version() == Version::HTTP_2, Ordering::Release);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.ends);
        let answer = tower::Service::call(&mut self.router, request);
        Box::pin(async move {
            let answer = answer.await;
            drop(under_way);
            answer
        })
    }
}

/// The socket, with its movement noted.
struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.head_started.store(true, Ordering::Release);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(polled)
    }
}

impl<S> Watched<S> {
    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = polled {
            self.activity.wrote.store(true, Ordering::Release);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_until_the_end(activity: &Activity) -> Option<u32> {
        let timeouts = Timeouts { header: TICK * 10, idle: TICK * 60 };
        let mut patience = Patience::default();
        (1..=200).find(|_| patience.ends(activity, timeouts))
    }

    #[test]
    fn a_connection_that_does_not_move_is_ended() {
        let silent = Activity::default();
        assert_eq!(ticks_until_the_end(&silent), Some(11));
        let idle = Activity::default();
        idle.served.store(true, Ordering::Release);
        assert_eq!(ticks_until_the_end(&idle), Some(61));
        idle.head_started.store(true, Ordering::Release);
        assert_eq!(ticks_until_the_end(&idle), Some(11));
        idle.http2.store(true, Ordering::Release);
        assert_eq!(ticks_until_the_end(&idle), Some(61));
        idle.requests.store(1, Ordering::Release);
        assert_eq!(ticks_until_the_end(&idle), None);
    }
}
